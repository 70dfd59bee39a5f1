import type { FindingId, FindingText } from '../doctor/finding.ts';
import { findings as findingsEn } from './doctor-findings-en.ts';
import { findings as findingsZh } from './doctor-findings-zh.ts';

interface DoctorTexts {
  readonly command: string;
  readonly footer: string;
  readonly folder: string;
  readonly fixFlag: string;
  readonly dryRunFlag: string;
  readonly explainFlag: string;
  readonly dryRunNeedsFix: string;
  readonly noFolder: (folder: string) => string;
  readonly looking: string;
  readonly error: string;
  readonly warning: string;
  readonly canFix: string;
  readonly wouldFix: string;
  readonly fixed: (title: string) => string;
  readonly notFixed: (title: string, reason: string) => string;
  readonly undoWith: string;
  readonly skipped: (count: number) => string;
  readonly blind: string;
  readonly well: string;
  readonly found: (count: number) => string;
  readonly unknown: string;
  readonly nothingRecognised: string;
  readonly findings: Readonly<Record<FindingId, FindingText>>;
}

export const zh: DoctorTexts = {
  command: '检查本机的 Go 环境与项目：指出问题、给出证据并修复；或解释一份失败的日志',
  footer: '退出码：0 一切正常，1 发现问题。docs/doctor.md 逐项说明。解释日志：goyi doctor --explain < build.log',
  folder: '要检查的项目目录（默认为当前目录）',
  fixFlag: '修复可以安全修复的问题，并说明做了什么、如何撤销',
  dryRunFlag: '与 --fix 一起使用：只说明将会做什么',
  explainFlag: '从标准输入读取失败的 go 日志并解释',
  dryRunNeedsFix: '--dry-run 需与 --fix 一起使用',
  noFolder: (folder) => `没有目录 ${folder}`,
  looking: '正在检查',
  error: '错误：',
  warning: '警告：',
  canFix: '（goyi doctor --fix 会完成这一步）',
  wouldFix: '（--fix 将会完成这一步；试运行，未作任何修改）',
  fixed: (title) => `已修复：${title}`,
  notFixed: (title, reason) => `未能修复：${title}（${reason}）`,
  undoWith: '撤销：',
  skipped: (count) => `有 ${count} 个模块因数量限制未检查`,
  blind: '出站代理是 SOCKS，本程序不支持：没有检查网络上的任何内容',
  well: '未发现问题',
  found: (count) => `发现 ${count} 个问题`,
  unknown: '以下各行不认识，无法解释：',
  nothingRecognised: '日志中没有认识的错误',
  findings: findingsZh,
};

export const en: DoctorTexts = {
  command: 'look at the Go environment of this machine and a project: say what is wrong, prove it and mend it; or explain a failed log',
  footer: 'Exit code 0: all is well, 1: something was found. docs/doctor.md has every finding. A log: goyi doctor --explain < build.log',
  folder: 'folder of the project (default: the current one)',
  fixFlag: 'mend what can safely be mended, and say what was done and how to undo it',
  dryRunFlag: 'with --fix: only say what would be done',
  explainFlag: 'read the log of a failed go command from standard input and explain it',
  dryRunNeedsFix: '--dry-run goes with --fix',
  noFolder: (folder) => `there is no folder ${folder}`,
  looking: 'looking',
  error: 'error:',
  warning: 'warning:',
  canFix: '(goyi doctor --fix does this)',
  wouldFix: '(--fix would do this; dry run, nothing was changed)',
  fixed: (title) => `mended: ${title}`,
  notFixed: (title, reason) => `not mended: ${title} (${reason})`,
  undoWith: 'to undo:',
  skipped: (count) => `${count} modules were not looked at, because there are so many`,
  blind: 'the outbound proxy is a SOCKS one, which goyi does not speak: nothing on the network was looked at',
  well: 'nothing is wrong',
  found: (count) => (count === 1 ? '1 thing was found' : `${count} things were found`),
  unknown: 'these lines are unknown and cannot be explained:',
  nothingRecognised: 'the log has no error that is known',
  findings: findingsEn,
};

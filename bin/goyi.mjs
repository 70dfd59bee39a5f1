#!/usr/bin/env node
// Starts goyi: in a clone the TypeScript as it is, in the published package the built JavaScript. Plain enough for any
// old Node to read, so that such a Node answers with a sentence instead of a stack trace.
import { existsSync } from 'node:fs';
import module from 'node:module';
import { fileURLToPath } from 'node:url';

const NODE_MAJOR_MIN = 24;

if (Number(process.versions.node.split('.')[0]) < NODE_MAJOR_MIN) {
  process.stderr.write(
    `goyi: Node ${NODE_MAJOR_MIN} or newer is needed, this is ${process.versions.node}. In a clone, \`npm start\` and \`npm run -s goyi -- ARGS\` bring their own.\n` +
      `goyi：需要 Node ${NODE_MAJOR_MIN} 或更高版本，当前为 ${process.versions.node}。在克隆的仓库中，\`npm start\` 与 \`npm run -s goyi -- 参数\` 会自带合适的 Node。\n`,
  );
  process.exitCode = 1;
} else {
  // What was compiled once is kept beside the dependencies: half the memory and half the start-up time. Workers inherit it by the variable.
  process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL('../node_modules/.cache/goyi', import.meta.url));
  module.enableCompileCache(process.env.NODE_COMPILE_CACHE);
  const source = new URL('../src/bin/goyi.ts', import.meta.url);
  const entry = existsSync(source) ? source : new URL('../dist/bin/goyi.js', import.meta.url);
  await import(entry.href);
}

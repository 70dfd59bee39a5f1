/**
 * What the pages for people have in common: how they look, without a script, a picture or anything else to load. The style is inline, and the policy that
 * goes with it lets just that style in, by its hash.
 */
import { createHash } from 'node:crypto';

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`);
}

/** A line to copy: a press selects the whole of it. */
export function command(text: string): string {
  return `<pre tabindex="0"><code>${escapeHtml(text)}</code></pre>`;
}

export const pageStyle: string = `
:root{color-scheme:light dark;--paper:#fbfaf7;--ink:#1d1d1b;--soft:#5c5b57;--line:#dddad2;--box:#f1efe9;--link:#0b5a8f;--good:#1d6b3a;--fair:#8a5a00;--bad:#a3231f}
@media(prefers-color-scheme:dark){:root{--paper:#17181a;--ink:#e7e5df;--soft:#a3a19a;--line:#36373a;--box:#222427;--link:#7cbcf0;--good:#6fce90;--fair:#e3b255;--bad:#ff8a80}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:46rem;padding:2.5rem 1.25rem 3rem;background:var(--paper);color:var(--ink);font:1rem/1.6 system-ui,"PingFang SC","Microsoft YaHei","Noto Sans CJK SC",sans-serif;overflow-wrap:break-word}
h1{margin:0;font-size:2rem;line-height:1.2;letter-spacing:-.01em}
h1 span{color:var(--soft);font-weight:400}
h2{margin:2.25rem 0 .5rem;padding-top:1.25rem;border-top:1px solid var(--line);font-size:1.2rem;line-height:1.3}
h3{margin:1rem 0 .25rem;font-size:.9rem;font-weight:600;color:var(--soft)}
p{margin:.5rem 0}
a{color:var(--link)}
pre,code{font-family:ui-monospace,"SF Mono",Consolas,"Liberation Mono",monospace}
code{font-size:.875em}
pre{margin:.25rem 0;padding:.6rem .8rem;border:1px solid var(--line);border-radius:.4rem;background:var(--box);white-space:pre-wrap;overflow-wrap:anywhere;font-size:.9rem;line-height:1.5;-webkit-user-select:all;user-select:all}
pre code{font-size:1em}
pre:focus-visible,a:focus-visible{outline:2px solid var(--link);outline-offset:2px}
p>code{padding:.1em .3em;border-radius:.25rem;background:var(--box)}
header strong{color:var(--bad)}
.health{margin-top:1rem;font-weight:600}
.health::before{content:"";display:inline-block;width:.65em;height:.65em;margin-right:.5em;border-radius:50%;background:currentcolor}
.good{color:var(--good)}.fair{color:var(--fair)}.bad{color:var(--bad)}
.aside{margin-top:.75rem;color:var(--soft);font-size:.9rem}
.reasons{margin:.25rem 0;padding-left:1.2rem;color:var(--soft);font-size:.9rem}
summary,footer{color:var(--soft);font-size:.875rem}
dl{margin:0}dt{margin-top:1rem;font-weight:600}dd{margin:0;color:var(--soft)}dd pre{color:var(--ink)}
ul{padding-left:1.2rem}
summary{cursor:pointer;margin:.25rem 0;width:fit-content}
footer{margin-top:2.5rem}
table{display:block;overflow-x:auto;border-collapse:collapse;margin:.75rem 0;font-size:.9rem}
th,td{padding:.35rem .9rem .35rem 0;border-top:1px solid var(--line);text-align:left;vertical-align:top;overflow-wrap:break-word}
th{border-top:0;color:var(--soft);font-weight:600}
li{margin:.25rem 0}
.files{padding:0;list-style:none}
.files li{margin:.75rem 0}
.files span{color:var(--soft);font-size:.9rem}
.files code{display:block;color:var(--soft);overflow-wrap:anywhere}
`;

/** Of such a page: nothing is loaded, run, sent or framed; the one style is known by its hash. */
export const PAGE_POLICY: string = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(pageStyle).digest('base64')}'`,
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

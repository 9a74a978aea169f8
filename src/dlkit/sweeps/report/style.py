"""How the page of a sweep looks, and the script that sorts its tables."""

from __future__ import annotations

from dlkit.plots.style import COLOURS, GRID, INK, MAIN, MARK

AS_IN_PICTURES = f"""
:root {{ --ink: {INK}; --grid: {GRID}; --main: {MAIN}; --busy: {MAIN}; --mark: {MARK}; --good: {COLOURS[2]};
  --bad: {COLOURS[6]} }}
"""

CSS = (
    AS_IN_PICTURES
    + """
:root { color-scheme: light dark; --soft: #5b6470; --page: #fff; --card: #f5f7fa; --link: #2b5fa8; --wait: #b9c0c9 }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e6ea; --soft: #9aa4b1; --page: #16191d; --card: #20252b;
  --grid: #3a4048; --main: #6d9bdc; --link: #8ab4f0; --good: #48bd8e; --bad: #ee7a6b; --busy: #6d9bdc;
  --wait: #59616c } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.5rem 1.25rem 4rem; max-width: 84rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem; overflow-wrap: anywhere }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .3rem; break-after: avoid }
p { margin: .3rem 0 .8rem; max-width: 62rem; overflow-wrap: anywhere }
a { color: var(--link) }
.soft, .notes { color: var(--soft); font-size: .92rem }
code { font: .88em ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace }
pre { margin: .7rem 0; padding: .6rem .8rem; background: var(--card); border-radius: 6px; overflow-wrap: anywhere;
  white-space: pre-wrap }
ul { margin: .4rem 0; padding-left: 1.2rem; overflow-wrap: anywhere }
.states { display: flex; gap: 2px; height: 8px; margin: 1rem 0 .4rem; border-radius: 4px; overflow: hidden }
.states i { min-width: 4px }
.counts { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem }
.counts i { display: inline-block; width: .7em; height: .7em; border-radius: 50%; margin-right: .4em }
.done { background: var(--good) } .failed { background: var(--bad) } .running { background: var(--busy) }
.waiting { background: var(--wait) } .pruned { background: var(--mark) }
.answer { margin: 1.3rem 0; padding: .9rem 1.1rem; background: var(--card); border-left: 4px solid var(--main);
  border-radius: 0 6px 6px 0; font-size: 1.08rem; break-inside: avoid }
.answer p { margin: 0; max-width: none }
.answer p + p { margin-top: .5rem; font-size: .95rem }
.table { overflow: auto; max-height: 40rem; margin: .6rem 0; border: 1px solid var(--grid); border-width: 1px 0 }
table { border-collapse: collapse; font-size: .9rem; min-width: 100% }
th, td { padding: .35rem .6rem; text-align: left; white-space: nowrap; border-bottom: 1px solid var(--grid) }
tr:last-child > td { border-bottom: 0 }
td.wide { white-space: normal; min-width: 18rem; overflow-wrap: anywhere }
.n { text-align: right; font-variant-numeric: tabular-nums }
thead th { position: sticky; top: 0; background: var(--card); z-index: 1 }
th button { all: unset; cursor: pointer; font-weight: 600 }
th button:focus-visible { outline: 2px solid var(--main) }
th[aria-sort=ascending] button::after { content: " ▲" }
th[aria-sort=descending] button::after { content: " ▼" }
tr.best td { font-weight: 600; box-shadow: inset 0 2px var(--mark), inset 0 -2px var(--mark) }
.pictures { display: grid; gap: 1rem 1.6rem; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, var(--least)), 1fr)) }
.pictures > div { overflow-x: auto; break-inside: avoid }
svg { display: block; width: 100%; height: auto }
svg text { font-family: inherit }
.key { display: flex; flex-wrap: wrap; gap: .25rem 1.3rem; padding: 0; margin: .2rem 0 .8rem; list-style: none;
  font-size: .9rem }
.key svg { display: inline-block; width: 34px; height: 10px; margin-right: .5em }
.scale { display: inline-block; width: 9rem; height: .75rem; margin: 0 .5rem; border-radius: 3px; vertical-align: -1px }
summary { cursor: pointer; margin-top: 2.4rem }
summary h2 { display: inline }
@page { size: landscape; margin: 12mm }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt }
  .table { max-height: none; overflow: visible }
  table { font-size: 7.5pt; min-width: 0 }
  th, td { padding: .12rem .3rem }
  thead th { position: static }
  tr { break-inside: avoid }
  a { color: inherit; text-decoration: none }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact }
}
@media (max-width: 40rem) {
  body { padding: 1rem .8rem 3rem }
  h1 { font-size: 1.35rem }
  th, td { padding: .35rem .5rem }
  td.wide { min-width: 12rem }
  td a { display: inline-block; min-width: 9rem; white-space: normal; overflow-wrap: anywhere }
}
"""
)

SCRIPT = """
document.querySelectorAll('th button').forEach(button => button.onclick = () => {
  const head = button.parentNode, row = head.parentNode, body = head.closest('table').tBodies[0];
  const down = head.getAttribute('aria-sort') === 'ascending', place = [...row.children].indexOf(head);
  const value = line => line.children[place].dataset.v ?? line.children[place].textContent;
  const order = (a, b) => a === '' || b === '' ? (a === '') - (b === '')
    : (down ? -1 : 1) * (isNaN(a) || isNaN(b) ? a.localeCompare(b, undefined, {numeric: true}) : a - b);
  for (const other of row.children) other.removeAttribute('aria-sort');
  head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
  body.append(...[...body.rows].sort((a, b) => order(value(a), value(b))));
});
"""

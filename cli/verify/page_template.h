#pragma once

#include <string_view>

// The page of a report: what stands still in it. {{names}} are filled in by report.cc.
namespace quern::cli {

inline constexpr std::string_view kStyle = R"css(
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --line: #d9dee5; --text: #1b2026; --soft: #59636f;
  --good: #14713d; --good-back: #e3f4ea; --bad: #b3261e; --bad-back: #fdeae8;
  --accent: #2563c4; --heat: 217 72 50;
  --c0: #2563c4; --c1: #d9822b; --c2: #2f9e63; --c3: #8a4fc7; --c4: #c23b6b; --c5: #1f9aa8;
  --c6: #8c8c3a; --c7: #7a818a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12161b; --card: #1b2128; --line: #333c46; --text: #e7ebf0; --soft: #9ba7b4;
    --good: #6fd69b; --good-back: #14301f; --bad: #ff9c92; --bad-back: #3b1a18;
    --accent: #7fb0ff; --heat: 226 88 62;
    --c0: #6a9ff2; --c1: #e79a4e; --c2: #57c189; --c3: #b286e8; --c4: #e0729a; --c5: #52c0cc;
    --c6: #b9b95c; --c7: #98a1ab;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
main { max-width: 58rem; margin: 0 auto; padding: 1rem; }
section, header { margin: 0 0 1rem; padding: 1rem 1.25rem; background: var(--card);
  border: 1px solid var(--line); border-radius: 10px; }
h1 { margin: 0 0 .25rem; font-size: 1.6rem; line-height: 1.2; }
h2 { margin: 0 0 .5rem; font-size: 1.1rem; }
p { margin: .25rem 0 .75rem; }
.soft { color: var(--soft); font-size: .9rem; }
.name { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .92em;
  unicode-bidi: isolate; overflow-wrap: anywhere; }
.passed { border-left: 8px solid var(--good); background: var(--good-back); }
.failed { border-left: 8px solid var(--bad); background: var(--bad-back); }
.passed h1, .good { color: var(--good); }
.failed h1, .bad { color: var(--bad); }
header p:last-child { margin-bottom: 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr)); gap: .75rem;
  margin: 0 0 1rem; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: .75rem 1rem; }
.tile b { display: block; font-size: 1.45rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: .85rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; font-size: .85rem; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
tr:last-child td { border-bottom: 0; }
td { white-space: nowrap; }
td:first-child, td.wide { white-space: normal; overflow-wrap: anywhere; }
td.text, th.text { text-align: left; }
td:has(.swatch) { white-space: nowrap; }
.outside { margin-top: 1.25rem; }
details { margin-top: .75rem; }
svg { display: block; width: 100%; max-width: 42rem; height: auto; margin: 0 auto; }
svg text { fill: var(--soft); font-size: 12px; font-family: inherit; }
svg .value { fill: var(--text); font-weight: 600; paint-order: stroke; stroke: var(--card);
  stroke-width: 4px; stroke-linejoin: round; }
.grid { stroke: var(--line); stroke-width: 1; }
.curve { fill: none; stroke: var(--accent); stroke-width: 2.5; stroke-linejoin: round; }
.under { fill: var(--accent); opacity: .12; }
.dot { fill: var(--accent); }
.mean { stroke: var(--soft); stroke-width: 1.5; stroke-dasharray: 5 4; }
.bar { display: flex; height: 1.6rem; border-radius: 6px; overflow: hidden; margin: .25rem 0 .75rem;
  background: var(--line); }
.bar i { flex-basis: 0; min-width: 2px; }
.swatch { display: inline-block; width: .8em; height: .8em; border-radius: 3px; margin-right: .4em; }
.k0 { background: var(--c0); } .k1 { background: var(--c1); } .k2 { background: var(--c2); }
.k3 { background: var(--c3); } .k4 { background: var(--c4); } .k5 { background: var(--c5); }
.k6 { background: var(--c6); } .k7 { background: var(--c7); }
.heat { border-collapse: separate; border-spacing: 2px; }
.heat th, .heat td { border: 0; padding: .2rem .15rem; text-align: center; font-size: .8rem; }
.heat td { background: rgb(var(--heat) / var(--a, 0)); border-radius: 4px; min-width: 2.1rem;
  box-shadow: inset 0 0 0 1px var(--line); }
.heat td.none { box-shadow: none; }
.heat th:first-child { text-align: right; padding-right: .5rem; }
.scale { display: flex; align-items: center; gap: .5rem; font-size: .85rem; color: var(--soft);
  margin-bottom: .5rem; }
.scale i { width: 9rem; height: .8rem; border-radius: 4px; box-shadow: inset 0 0 0 1px var(--line);
  background: linear-gradient(90deg, transparent, rgb(var(--heat) / .8)); }
summary { cursor: pointer; color: var(--accent); }
footer { color: var(--soft); font-size: .85rem; padding: 0 .25rem 1rem; }
@media (max-width: 36rem) {
  body { font-size: 15px; }
  main { padding: .6rem; }
  section, header { padding: .8rem .9rem; }
  .tiles { grid-template-columns: 1fr 1fr; gap: .5rem; }
  .tile { padding: .6rem .7rem; }
  .tile b { font-size: 1.2rem; }
  th, td { padding: .3rem .35rem; font-size: .85rem; }
  .aside { display: none; }
  .heat th, .heat td { font-size: .7rem; padding: .2rem 0; min-width: 1.9rem; }
}
@media print { section, header, .tile { break-inside: avoid; } }
)css";

inline constexpr std::string_view kPage = R"html(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{{title}}</title>
<style>{{style}}</style>
</head>
<body>
<main>
<header class="{{state}}">
<h1>{{verdict}}</h1>
<p><span class="name">{{candidate}}</span> compared with <span class="name">{{reference}}</span></p>
<p>{{summary}}</p>
</header>
<div class="tiles">{{tiles}}</div>
<section>
<h2>Thresholds</h2>
<table>
<tr><th>Measure</th><th>Wanted</th><th>Got</th><th>Met</th></tr>
{{criteria}}</table>
</section>
<section>
<h2>How the divergence is spread</h2>
<p class="soft">KL divergence of the predictions at each token of the text, from the most alike to the
most different: 0 means that both files predict the same. Half of the tokens lie left of 50 %, one in a
hundred right of 99 %.</p>
{{curve}}
</section>
<section>
<h2>Size by type</h2>
{{sizes}}
</section>
<section>
<h2>Error per tensor</h2>
<p class="soft">Root mean square of the change of a tensor's weights, in percent of that of the weights
themselves. The stronger a cell's colour, the more was lost.</p>
{{heat}}
</section>
<section>
<h2>All figures</h2>
<table>
<tr><th>Measure</th><th>Value</th><th>Standard error</th></tr>
{{figures}}</table>
</section>
<section>
<h2>How it was measured</h2>
<table>
{{method}}</table>
</section>
<footer>Written by quern verify.</footer>
</main>
</body>
</html>
)html";

}  // namespace quern::cli

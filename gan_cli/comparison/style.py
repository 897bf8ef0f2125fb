"""The style sheet and the script of comparison.html; the page loads nothing else."""

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'"
"""What a browser is told to allow, whatever else the page should come to hold."""

SHEET = """
:root {
  color-scheme: light dark;
  --paper: #fff; --ink: #1c2330; --soft: #5d6878; --rule: #d9dee6; --stripe: #f5f7fa; --bad: #b3261e;
  --c0: #2b4c7e; --c1: #d1495b; --c2: #3a8f5c; --c3: #b7791f;
  --c4: #7b4fa3; --c5: #1f8a9c; --c6: #a0522d; --c7: #6b7a1e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181f; --ink: #e4e8ee; --soft: #9aa5b5; --rule: #333c49; --stripe: #1b2029; --bad: #ff8a80;
    --c0: #7ea6e0; --c1: #f0818f; --c2: #6fcf97; --c3: #e6b455;
    --c4: #bd93e6; --c5: #5cc8da; --c6: #d89a73; --c7: #b6c65a;
  }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0.5rem 0; } h2 { font-size: 1.15rem; margin: 2rem 0 0.5rem; }
h3 { font-size: 0.95rem; margin: 0.75rem 0 0.25rem; overflow-wrap: anywhere; }
p { margin: 0.25rem 0; } .note { color: var(--soft); font-size: 0.9em; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: 0.3rem 0.6rem; text-align: left; border-bottom: 1px solid var(--rule); vertical-align: top; }
th { color: var(--soft); font-weight: 600; white-space: nowrap; }
th button { all: unset; cursor: pointer; } th button:focus-visible { outline: 2px solid var(--c0); }
th[aria-sort=ascending] button::after { content: " ▲"; } th[aria-sort=descending] button::after { content: " ▼"; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td { overflow-wrap: break-word; } tbody tr:nth-child(even) { background: var(--stripe); }
.failed { color: var(--bad); }
.grid2 { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); gap: 0.5rem 1.5rem; }
figure { margin: 0; } figcaption { font-size: 0.9em; overflow-wrap: anywhere; }
figure img { max-width: 100%; height: auto; display: block; }
svg { width: 100%; max-width: 40rem; height: auto; } svg text { font-size: 10px; fill: var(--soft); }
svg .grid { stroke: var(--rule); } polyline { fill: none; stroke-width: 1.4; }
pre { background: var(--stripe); padding: 0.5rem; overflow-x: auto; font-size: 0.85em; }
.key { display: inline-block; margin-right: 1rem; }
.key::before { content: ""; display: inline-block; width: 1.2em; height: 3px; margin-right: 0.4em;
  vertical-align: middle; background: currentColor; }
.other { stroke: var(--soft); color: var(--soft); }
""" + "".join(
    f"polyline.c{n} {{ stroke: var(--c{n}); }} circle.c{n} {{ fill: var(--c{n}); }}\n"
    f".key.c{n} {{ color: var(--c{n}); }}\n"
    for n in range(8)
)

SCRIPT = """
for (const table of document.querySelectorAll("table.sortable")) {
  const rows = table.tBodies[0];
  table.querySelectorAll("th").forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") === "ascending";
      table.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const key = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const order = (a, b) => {
        const [x, y] = [key(a), key(b)];
        if (x === "" || y === "") return (x === "") - (y === "");
        const least = isNaN(x) || isNaN(y) ? x.localeCompare(y, undefined, {numeric: true}) : x - y;
        return falling ? -least : least;
      };
      rows.append(...[...rows.rows].sort(order));
    });
  });
}
"""
"""Sorts a table by the column whose head is clicked; rows without a value stay last. The page is whole without it."""

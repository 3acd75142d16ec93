// Sort by a click on a head, unpack a table's CSV, copy a section's address, unfold for print. Without it the page reads the same.
document.documentElement.classList.add("js");
addEventListener("DOMContentLoaded", () => {
  const said = document.querySelector("[role=status]");
  const units = { 万: 1e4, 亿: 1e8, K: 1e3, M: 1e6, B: 1e9 };
  const number = (words) => {
    const found = /(-?)[^\d]*([\d,]*\.?\d+)\s*([万亿KMB])?/.exec(words.replaceAll("−", "-"));
    return found ? (found[1] ? -1 : 1) * found[2].replaceAll(",", "") * (units[found[3]] || 1) : null;
  };
  const sort = (table, head, at) => {
    const numeric = head.classList.contains("number");
    const down = head.ariaSort ? head.ariaSort === "ascending" : numeric;
    const key = (row) => {
      const words = row.cells[at].textContent.trim();
      return numeric ? number(words) : words === "–" ? null : words;
    };
    const rows = [...table.tBodies[0].rows].map((row) => [key(row), row]);
    rows.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      return (numeric ? a - b : a.localeCompare(b, document.documentElement.lang, { numeric: true })) * (down ? -1 : 1);
    });
    for (const cell of head.parentNode.cells) cell.removeAttribute("aria-sort");
    head.ariaSort = down ? "descending" : "ascending";
    table.tBodies[0].append(...rows.map(([, row]) => row));
  };
  for (const table of document.querySelectorAll("main table")) {
    if (table.tBodies[0].rows.length < 3 || table.tHead.rows.length > 1 || table.querySelector("tr.group")) continue;
    [...table.tHead.rows[0].cells].forEach((head, at) => {
      const button = document.createElement("button");
      button.append(...head.childNodes);
      button.onclick = () => sort(table, head, at);
      head.append(button);
    });
  }
  addEventListener("click", async (event) => {
    const link = event.target.closest("a.csv, a.mark");
    if (!link) return;
    if (link.className === "mark") {
      await navigator.clipboard?.writeText(link.href);
      said.textContent = said.dataset.copied;
      setTimeout(() => (said.textContent = ""), 2000);
      return;
    }
    if (!self.DecompressionStream || link.href.startsWith("blob:")) return;
    event.preventDefault();
    const packed = Uint8Array.from(atob(link.getAttribute("href").split(",")[1]), (c) => c.charCodeAt(0));
    const open = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    link.href = URL.createObjectURL(new Blob([await new Response(open).blob()], { type: "text/csv" }));
    link.download = link.download.replace(".gz", "");
    link.click();
  });
  addEventListener("beforeprint", () => document.querySelectorAll("details:not(.code)").forEach((fold) => (fold.open = true)));
});

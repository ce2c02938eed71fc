// <table class="data" data-sortable>: a button in every header that sorts the rows in place.
// A cell sorts by data-value where it has one, else by its text; <th data-nosort> is left alone.

function cellValue(row, column) {
  const cell = row.cells[column];
  const raw = cell?.dataset.value ?? cell?.textContent.trim() ?? "";
  const number = Number(raw.replace(/[\s,$%]/g, "").replace("−", "-"));
  return raw === "" || Number.isNaN(number) ? raw.toLowerCase() : number;
}

function compare(left, right) {
  if (typeof left === "number" && typeof right === "number") return left - right;
  return String(left).localeCompare(String(right), undefined, { numeric: true });
}

function sortBy(table, header) {
  const column = header.cellIndex;
  const descending = header.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const body = table.tBodies[0];
  const rows = [...body.rows].sort((a, b) => compare(cellValue(a, column), cellValue(b, column)));
  body.append(...(descending ? rows.reverse() : rows));
}

function prepare(table) {
  if (table.dataset.sortable === "ready" || !table.tHead) return;
  table.dataset.sortable = "ready";
  for (const header of table.tHead.querySelectorAll("th:not([data-nosort])")) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => sortBy(table, header));
  }
}

export function prepareTables(root) {
  for (const table of root.querySelectorAll("table[data-sortable]")) prepare(table);
}

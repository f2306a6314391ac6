// Sorts the table by the column whose heading is pressed; pressed again, the other way round. Hides the rows that were
// not chosen.
const table = document.getElementById("images");
const body = table.tBodies[0];
const headings = [...table.tHead.rows[0].cells];
const rows = [...body.rows];

const value = (row, column) => {
  const cell = row.cells[column];
  return cell.dataset.value ?? cell.textContent;
};

const compared = (a, b) => {
  if (a === "" || b === "") return (a === "") - (b === "");
  const difference = Number(a) - Number(b);
  return Number.isNaN(difference) ? a.localeCompare(b, undefined, { numeric: true }) : difference;
};

headings.forEach((heading, column) => {
  heading.hidden = rows.every((row) => value(row, column) === "");
  heading.querySelector("button").addEventListener("click", () => {
    const way = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    headings.forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", way === 1 ? "ascending" : "descending");
    const keyed = rows.map((row) => [value(row, column), row]);
    // What has no value stays last either way.
    keyed.sort(([a], [b]) => (a === "" || b === "" ? 1 : way) * compared(a, b));
    body.append(...keyed.map(([, row]) => row));
  });
});

const kind = document.getElementById("kind");
const words = document.getElementById("words");
const shown = document.getElementById("shown");
const texts = new Map(rows.map((row) => [row, row.textContent.toLocaleLowerCase()]));

const choose = () => {
  const wanted = words.value.trim().toLocaleLowerCase();
  const chosen = (row) => (kind.value === "" || row.classList.contains(kind.value)) && texts.get(row).includes(wanted);
  for (const row of rows) row.hidden = !chosen(row);
  const left = rows.filter((row) => !row.hidden).length;
  shown.value = left === rows.length ? "" : `${left} of ${rows.length} shown`;
};

kind.addEventListener("input", choose);
words.addEventListener("input", choose);
document.getElementById("choice").hidden = table.tHead.hidden = rows.length < 2;
choose(); // a browser keeps what was chosen when a page is loaded again

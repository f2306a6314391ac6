// Sorts the table by the column whose heading is pressed; pressed again, the other way round.
const table = document.getElementById("images");
const body = table.tBodies[0];
const headings = [...table.tHead.rows[0].cells];

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
  heading.querySelector("button").addEventListener("click", () => {
    const descending = heading.getAttribute("aria-sort") === "ascending";
    headings.forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const rows = [...body.rows].sort((a, b) => compared(value(a, column), value(b, column)));
    body.append(...(descending ? rows.reverse() : rows));
  });
});

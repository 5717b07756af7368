// The answer of a query as a chart, where its first column is a time and another one a number.
const box = document.getElementById("query");
box.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) box.form.requestSubmit();
});

const answer = document.getElementById("answer");
if (answer) draw(answer);

function clock(second) {
  const text = new Date(second * 1000).toISOString();
  return text.slice(11, 16) === "00:00" ? text.slice(5, 10) : text.slice(11, 16);
}

function draw(table) {
  const heads = [...table.tHead.rows[0].cells];
  const isNumber = (head) => /Int|Decimal|Float/.test(head.dataset.type);
  const numbers = heads.map((head, at) => (at > 0 && isNumber(head) ? at : -1)).filter((at) => at > 0).slice(0, 6);
  if (!/^(DateTime|Date)/.test(heads[0].dataset.type) || !numbers.length || table.tBodies[0].rows.length < 2) return;
  const rows = [...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.textContent));
  rows.sort((first, second) => (first[0] < second[0] ? -1 : 1));
  const times = rows.map((row) => Date.parse(row[0].replace(" ", "T") + (row[0].length > 10 ? "Z" : "")) / 1000);
  const style = getComputedStyle(document.documentElement);
  const probe = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  const colour = (at) => {
    probe.setAttribute("class", `s${at % 6}`);
    document.getElementById("plot").append(probe);
    const fill = getComputedStyle(probe).fill;
    probe.remove();
    return fill;
  };
  const text = style.color;
  const axis = { stroke: text, grid: { stroke: text, width: 0.1 }, ticks: { stroke: text, width: 0.1 } };
  new uPlot(
    {
      width: document.getElementById("plot").clientWidth || 800,
      height: 240,
      tzDate: (second) => uPlot.tzDate(new Date(second * 1000), "Etc/UTC"),
      axes: [{ ...axis, values: (_, ticks) => ticks.map(clock) }, axis],
      series: [{ value: (_, second) => (second ? new Date(second * 1000).toISOString().slice(0, 19) : "") }, ...numbers.map((at, place) => ({ label: heads[at].textContent, stroke: colour(place), width: 2 }))],
    },
    [times, ...numbers.map((at) => rows.map((row) => Number(row[at])))],
    document.getElementById("plot"),
  );
}

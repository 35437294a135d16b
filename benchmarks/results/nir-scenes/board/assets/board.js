/* Sorting and filtering of the tables; without it the pages still show everything. */
"use strict";

(() => {
  const language = { search: "Filter rows", lengthMenu: "_MENU_ rows a page" };
  const tables = [];

  /** A column's kind is declared by its header, so that no cell has to be tried. */
  const columns = (table) =>
    [...table.tHead.rows[table.tHead.rows.length - 1].cells].map((header) => ({
      type: header.classList.contains("num") ? "num" : "string",
      orderable: !("fixed" in header.dataset),
    }));

  const start = (table) => {
    const paged = "paged" in table.dataset;
    const box = table.parentElement;
    const made = new DataTable(table, {
      autoWidth: false,
      columns: columns(table),
      deferRender: true,
      info: paged,
      language,
      layout: { topStart: null, topEnd: null, bottomStart: paged ? "info" : null, bottomEnd: paged ? "paging" : null },
      lengthChange: paged,
      order: [],
      orderClasses: false,
      pageLength: 50,
      paging: paged,
    });
    // Only the table scrolls sideways, not what stands around it.
    const inner = document.createElement("div");
    for (const name of ["class", "tabindex", "role", "aria-labelledby", "aria-label"]) {
      if (box.hasAttribute(name)) {
        inner.setAttribute(name, box.getAttribute(name));
        box.removeAttribute(name);
      }
    }
    table.before(inner);
    inner.append(table);
    tables.push(made);
  };

  const labelled = (text, field) => {
    const label = document.createElement("label");
    label.append(text, field);
    return label;
  };

  const counted = (output) => {
    const rows = tables.reduce((sum, table) => sum + table.rows().count(), 0);
    const left = tables.reduce((sum, table) => sum + table.rows({ search: "applied" }).count(), 0);
    output.textContent = left === rows ? `${rows} rows` : `${left} of ${rows} rows`;
  };

  const searchBox = (output) => {
    const field = document.createElement("input");
    field.type = "search";
    field.addEventListener("input", () => {
      tables.forEach((table) => table.search(field.value).draw());
      counted(output);
    });
    return labelled("Filter rows", field);
  };

  const chooser = (table, header, output) => {
    const column = table.column(header.cellIndex);
    const field = document.createElement("select");
    const values = [...new Set(column.nodes().toArray().map((cell) => cell.textContent.trim()))].sort();
    field.add(new Option("all", ""));
    values.forEach((value) => field.add(new Option(value, value)));
    field.addEventListener("change", () => {
      column.search(field.value, { exact: field.value !== "" }).draw();
      counted(output);
    });
    return labelled(header.textContent.trim(), field);
  };

  const controls = (place) => {
    const output = document.createElement("output");
    place.append(searchBox(output));
    for (const table of tables) {
      table.table().header().querySelectorAll("[data-choose]").forEach((header) => place.append(chooser(table, header, output)));
    }
    place.append(output);
    place.hidden = false;
    counted(output);
  };

  document.querySelectorAll("table[data-sortable]").forEach(start);
  const place = document.querySelector(".controls");
  if (place && tables.length) controls(place);
})();

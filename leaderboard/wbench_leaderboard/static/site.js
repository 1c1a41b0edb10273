/* Theme, sorting and filters. Classic script: pages also open from file://, where modules are blocked. Every page is
   complete without it; what needs it stays hidden until it runs. */
(function () {
  "use strict";

  var root = document.documentElement;
  var themes = ["auto", "light", "dark"];

  function stored() {
    try {
      var value = window.localStorage.getItem("wbench-theme");
      return themes.indexOf(value) > 0 ? value : "auto";
    } catch (error) {
      return "auto"; // storage may be switched off; the system's theme is then as good as any
    }
  }

  function applyTheme(theme) {
    if (theme === "auto") root.removeAttribute("data-theme");
    else root.setAttribute("data-theme", theme);
  }

  applyTheme(stored()); // before the body is drawn, so that nothing flashes

  function setUpTheme() {
    var button = document.querySelector("[data-theme-toggle]");
    var label = button.querySelector("[data-theme-label]");
    var theme = stored();
    function show() {
      label.textContent = theme.charAt(0).toUpperCase() + theme.slice(1);
      button.setAttribute("aria-label", label.textContent + " theme, change");
    }
    button.addEventListener("click", function () {
      theme = themes[(themes.indexOf(theme) + 1) % themes.length];
      applyTheme(theme);
      show();
      try {
        window.localStorage.setItem("wbench-theme", theme);
      } catch (error) {
        return; // the choice then lasts for this page
      }
    });
    show();
    button.hidden = false;
  }

  /* ---------------------------------------------------------------------------------------------- sorting */

  function key(row, column) {
    var value = row.cells[column].getAttribute("data-v");
    if (value === null) value = row.cells[column].textContent.trim();
    if (value === "") return null;
    return isNaN(Number(value)) ? value.toLowerCase() : Number(value);
  }

  function compare(a, b) {
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0;
  }

  function sortBy(table, header, column) {
    var current = header.getAttribute("aria-sort");
    var first = header.getAttribute("data-sort") === "desc" ? "descending" : "ascending";
    var other = first === "ascending" ? "descending" : "ascending";
    var order = current === first ? other : first;
    var body = table.tBodies[0];
    var fixed = Array.prototype.filter.call(body.rows, function (row) { return row.hasAttribute("data-fixed"); });
    var rows = Array.prototype.filter.call(body.rows, function (row) { return !row.hasAttribute("data-fixed"); });
    var keyed = rows.map(function (row, index) { return { row: row, key: key(row, column), index: index }; });
    keyed.sort(function (a, b) {
      // What has no value stays at the end in both directions; equal values keep their order.
      if (a.key === null || b.key === null) return (a.key === null) - (b.key === null) || a.index - b.index;
      return (order === "ascending" ? 1 : -1) * compare(a.key, b.key) || a.index - b.index;
    });
    fixed.concat(keyed.map(function (item) { return item.row; })).forEach(function (row) { body.appendChild(row); });
    Array.prototype.forEach.call(table.tHead.rows[0].cells, function (cell) { cell.removeAttribute("aria-sort"); });
    header.setAttribute("aria-sort", order);
  }

  function setUpSorting(table) {
    Array.prototype.forEach.call(table.tHead.rows[0].cells, function (header, column) {
      var button = document.createElement("button");
      button.type = "button";
      while (header.firstChild) button.appendChild(header.firstChild);
      header.appendChild(button);
      button.addEventListener("click", function () { sortBy(table, header, column); });
    });
  }

  /* ---------------------------------------------------------------------------------------------- filters */

  function readHash() {
    var state = {};
    window.location.hash.slice(1).split("&").forEach(function (part) {
      var at = part.indexOf("=");
      if (at < 1) return; // a plain anchor, not a filter
      try {
        state[part.slice(0, at)] = decodeURIComponent(part.slice(at + 1));
      } catch (error) {
        return; // a damaged address filters nothing
      }
    });
    return state;
  }

  function writeHash(state) {
    var text = Object.keys(state).filter(function (name) { return state[name]; }).map(function (name) {
      return name + "=" + encodeURIComponent(state[name]);
    }).join("&");
    if (!text && window.location.hash.indexOf("=") < 0) return;
    window.history.replaceState(null, "", text ? "#" + text : window.location.pathname + window.location.search);
  }

  function setUpFilters(form) {
    var fields = ["q", "kind", "regime"].map(function (name) { return form.elements[name]; });
    var count = form.querySelector("[data-filter-count]");

    function apply() {
      var words = fields[0].value.toLowerCase().split(/\s+/).filter(Boolean);
      var shown = 0, all = 0;
      document.querySelectorAll("[data-group]").forEach(function (group) {
        var wanted = !fields[2].value || group.getAttribute("data-regime") === fields[2].value;
        group.hidden = !wanted;
        group.querySelectorAll("[data-row]").forEach(function (row) {
          var name = row.getAttribute("data-name").toLowerCase();
          var fits = words.every(function (word) { return name.indexOf(word) >= 0; });
          row.hidden = !fits || (fields[1].value !== "" && row.getAttribute("data-kind") !== fields[1].value);
          all += 1;
          shown += wanted && !row.hidden ? 1 : 0;
        });
      });
      count.textContent = shown === all ? all + " rows" : shown + " of " + all + " rows";
    }

    function changed() {
      apply();
      writeHash({ q: fields[0].value, kind: fields[1].value, regime: fields[2].value });
    }

    function fromHash() {
      var state = readHash();
      fields.forEach(function (field) {
        field.value = state[field.name] || "";
        if (field.selectedIndex === -1) field.value = "";
      });
      apply();
    }

    form.addEventListener("input", changed);
    form.addEventListener("submit", function (event) { event.preventDefault(); });
    form.addEventListener("reset", function () { window.setTimeout(changed, 0); });
    window.addEventListener("hashchange", function () {
      if (window.location.hash.indexOf("=") > 0) fromHash();
    });
    form.hidden = false;
    fromHash();
  }

  document.addEventListener("DOMContentLoaded", function () {
    setUpTheme();
    document.querySelectorAll("table[data-sortable]").forEach(setUpSorting);
    document.querySelectorAll("form[data-filters]").forEach(setUpFilters);
  });
})();

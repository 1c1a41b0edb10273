/* Theme, sorting, filters and search. Classic script: pages also open from file://, where modules are blocked. Every page is
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
    var cell = row.cells[column], link = cell.tagName === "TH" ? cell.querySelector("a") : null;
    var value = cell.getAttribute("data-v");
    if (value === null) value = (link || cell).textContent.trim();
    if (value === "" || value === "\u2013") return null;
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
      if (header.tagName !== "TH") return; // the axis of the drawings
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

  /* A field filters rows by the attribute of its name, of the row itself or of the group around it. Attributes with
     several values (the regimes of a model) hold them side by side. */
  function fits(row, name, wanted) {
    var holder = row.hasAttribute("data-" + name) ? row : row.closest("[data-" + name + "]");
    if (!holder) return true;
    var value = holder.getAttribute("data-" + name);
    return value === wanted || value.split(" ").indexOf(wanted) >= 0;
  }

  function wordsOf(text) {
    return text.toLowerCase().split(/\s+/).filter(Boolean);
  }

  function holdsAll(text, words) {
    return words.every(function (word) { return text.indexOf(word) >= 0; });
  }

  function fieldsOf(form) {
    return Array.prototype.filter.call(form.elements, function (field) { return field.name; });
  }

  function stateOf(fields) {
    var state = {};
    fields.forEach(function (field) { state[field.name] = field.value; });
    return state;
  }

  function fill(fields, state) {
    fields.forEach(function (field) {
      field.value = state[field.name] || "";
      if (field.selectedIndex === -1) field.value = "";
    });
  }

  /* What a form shows lives in the address; `apply` makes the page agree with the form. */
  function bind(form, apply) {
    var fields = fieldsOf(form);
    function changed() {
      apply(stateOf(fields));
      writeHash(stateOf(fields));
    }
    function fromHash() {
      fill(fields, readHash());
      apply(stateOf(fields));
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

  function setUpFilters(form) {
    var count = form.querySelector("[data-filter-count]");
    bind(form, function (state) {
      var words = wordsOf(state.q), shown = 0, all = 0;
      document.querySelectorAll("[data-group]").forEach(function (group) {
        var rows = group.querySelectorAll("[data-row]"), left = 0;
        rows.forEach(function (row) {
          var found = holdsAll(row.getAttribute("data-name").toLowerCase(), words);
          row.hidden = !found || Object.keys(state).some(function (name) {
            return name !== "q" && state[name] && !fits(row, name, state[name]);
          });
          left += row.hidden ? 0 : 1;
        });
        all += rows.length;
        shown += left;
        group.hidden = rows.length > 0 && left === 0 && !group.contains(form);
      });
      count.textContent = shown === all ? all + " rows" : shown + " of " + all + " rows";
    });
  }

  /* ----------------------------------------------------------------------------------------------- search */

  function setUpFind(form) {
    var up = document.body.getAttribute("data-up");
    form.addEventListener("submit", function (event) {
      event.preventDefault();
      window.location.href = up + "search.html#q=" + encodeURIComponent(form.elements.q.value);
    });
    form.hidden = false;
  }

  function setUpSearch(form) {
    var list = document.querySelector("[data-found]");
    var count = form.querySelector("[data-search-count]");
    var pages = window.wbench && window.wbench.index ? window.wbench.index.pages : [];
    var most = 100;

    function item(page) {
      var entry = document.createElement("li"), link = document.createElement("a"), text = document.createElement("p");
      link.href = page[2];
      link.textContent = page[1];
      text.textContent = page[0] + (page[3] ? " \u00b7 " + page[3] : "");
      entry.appendChild(link);
      entry.appendChild(text);
      return entry;
    }

    bind(form, function (state) {
      var words = wordsOf(state.q);
      var found = !words.length && !state.kind ? [] : pages.filter(function (page) {
        return (!state.kind || page[0] === state.kind) && holdsAll(page.join(" ").toLowerCase(), words);
      });
      // What has the words in its name comes first.
      var named = found.filter(function (page) { return holdsAll(page[1].toLowerCase(), words); });
      var rest = found.filter(function (page) { return named.indexOf(page) < 0; });
      list.textContent = "";
      named.concat(rest).slice(0, most).forEach(function (page) { list.appendChild(item(page)); });
      count.textContent = words.length || state.kind
        ? found.length + " found" + (found.length > most ? ", the first " + most : "")
        : pages.length + " pages";
    });
  }

  document.addEventListener("DOMContentLoaded", function () {
    setUpTheme();
    document.querySelectorAll("table[data-sortable]").forEach(setUpSorting);
    document.querySelectorAll("form[data-filters]").forEach(setUpFilters);
    document.querySelectorAll("form[data-find]").forEach(setUpFind);
    document.querySelectorAll("form[data-search]").forEach(setUpSearch);
  });
})();

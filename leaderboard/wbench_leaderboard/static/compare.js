/* Two models, paired: the difference of their scores on every task that both have, from the jackknife replicates in the
   models' data files. The same statistics as wbench.stats.paired_difference and holm, which the tests hold it to. */
(function () {
  "use strict";

  var MIN_GROUPS = 5;
  var LEVEL = 0.95;
  var loaded = {};

  /* ------------------------------------------------------------------------------------------- statistics */

  function logGamma(x) {
    // Lanczos' approximation, Numerical Recipes 6.1.
    var c = [76.18009172947146, -86.50532032941677, 24.01409824083091, -1.231739572450155, 1.208650973866179e-3,
      -5.395239384953e-6];
    var t = x + 5.5 - (x + 0.5) * Math.log(x + 5.5), sum = 1.000000000190015;
    for (var i = 0; i < 6; i += 1) sum += c[i] / (x + 1 + i);
    return -t + Math.log(2.5066282746310005 * sum / x);
  }

  function betaFraction(x, a, b) {
    // Continued fraction of the incomplete beta function, Numerical Recipes 6.4.
    var tiny = 1e-300, c = 1, d = 1 / (1 - (a + b) * x / (a + 1) || tiny), h = d, m, n;
    for (m = 1; m <= 300; m += 1) {
      n = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
      d = 1 / (1 + n * d || tiny);
      c = 1 + n / c || tiny;
      h *= d * c;
      n = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
      d = 1 / (1 + n * d || tiny);
      c = 1 + n / c || tiny;
      h *= d * c;
      if (Math.abs(d * c - 1) < 1e-14) break;
    }
    return h;
  }

  function beta(x, a, b) {
    if (x <= 0) return 0;
    if (x >= 1) return 1;
    var front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(1 - x));
    return x < (a + 1) / (a + b + 2) ? front * betaFraction(x, a, b) / a : 1 - front * betaFraction(1 - x, b, a) / b;
  }

  /* Two-sided p-value of Student's t with `freedom` degrees of freedom. */
  function twoSided(t, freedom) {
    return beta(freedom / (freedom + t * t), freedom / 2, 0.5);
  }

  function quantile(freedom) {
    var low = 0, high = 1e3, middle;
    for (var i = 0; i < 80; i += 1) {
      middle = (low + high) / 2;
      if (twoSided(middle, freedom) > 1 - LEVEL) low = middle;
      else high = middle;
    }
    return middle;
  }

  /* Difference a - b, positive where a is better. */
  function paired(a, b) {
    var sign = a.higher ? 1 : -1;
    var found = { difference: sign * (a.value - b.value), p: null };
    var groups = a.steps.length;
    if (groups < MIN_GROUPS || groups !== b.steps.length) return found;
    var each = a.steps.map(function (one, i) { return one * a.step - b.steps[i] * b.step; });
    var mean = each.reduce(function (sum, one) { return sum + one; }, 0) / groups;
    var square = each.reduce(function (sum, one) { return sum + (one - mean) * (one - mean); }, 0) / groups;
    var error = Math.sqrt((groups - 1) * square + a.seeds + b.seeds);
    var reach = quantile(groups - 1) * error;
    found.low = found.difference - reach;
    found.high = found.difference + reach;
    found.p = error > 0 ? twoSided(found.difference / error, groups - 1) : found.difference === 0 ? 1 : 0;
    return found;
  }

  function holm(rows) {
    var tested = rows.filter(function (row) { return row.p !== null; });
    var order = tested.slice().sort(function (x, y) { return x.p - y.p; });
    var highest = 0;
    order.forEach(function (row, i) {
      highest = Math.max(highest, Math.min(1, row.p * (order.length - i)));
      row.adjusted = highest;
    });
  }

  /* ------------------------------------------------------------------------------------------------- page */

  function record(row) {
    return { task: row[0], size: row[1], family: row[2], group: row[3], label: row[4], href: row[5], metric: row[6],
      unit: row[7], higher: row[8] === 1, revision: row[9], value: row[10], seeds: row[11], step: row[12],
      steps: row[13], ranked: row[14] === 1 };
  }

  function load(model, done) {
    if (loaded[model]) return done();
    var place = window.wbench.index.models.filter(function (one) { return one[0] === model; })[0];
    if (!place) return done();
    var script = document.createElement("script");
    script.src = document.body.getAttribute("data-up") + place[1];
    script.addEventListener("load", done);
    script.addEventListener("error", done);
    document.head.appendChild(script);
    return undefined;
  }

  function digits(value, unit) {
    return value.toFixed(unit === "dB" || Math.abs(value) >= 10 ? 2 : 3).replace("-", "\u2212");
  }

  function number(value, unit) {
    return digits(value, unit) + (unit ? "\u00a0" + unit : "");
  }

  function cell(row, tag, text, name) {
    var made = document.createElement(tag);
    if (name) made.className = name;
    if (text !== null) made.textContent = text;
    row.appendChild(made);
    return made;
  }

  function shape(parent, tag, attributes) {
    var made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    Object.keys(attributes).forEach(function (name) { made.setAttribute(name, attributes[name]); });
    parent.appendChild(made);
    return made;
  }

  function reach(rows) {
    // One scale for each metric: what is twice as far off is drawn twice as far off.
    var most = {};
    rows.forEach(function (row) {
      var found = row.found, ends = [found.difference, found.low, found.high].filter(function (one) { return one !== undefined; });
      most[row.a.metric] = Math.max.apply(null, ends.map(Math.abs).concat(most[row.a.metric] || 0));
    });
    return most;
  }

  function draw(parent, found, most) {
    function at(value) { return (50 + 47 * value / most).toFixed(1) + "%"; }
    var drawing = shape(parent, "svg", { "class": "fx", "aria-hidden": "true" });
    shape(drawing, "line", { "class": "ref-c", x1: "50%", x2: "50%", y1: "0", y2: "100%" });
    if (found.low !== undefined) {
      shape(drawing, "line", { "class": "span model", x1: at(found.low), x2: at(found.high), y1: "50%", y2: "50%" });
    }
    shape(drawing, "circle", { "class": "model", cx: at(found.difference), cy: "50%", r: "4.5" });
  }

  function verdict(row) {
    if (row.p === null) return "no test";
    if (row.adjusted > 1 - LEVEL || row.found.difference === 0) return "\u2248 not separable";
    return row.found.difference > 0 ? "\u25b2 A better" : "\u25bc B better";
  }

  function key(one) { return [one.task, one.size, one.group].join("|"); }

  function rowsOf(a, b, state) {
    var others = {};
    (loaded[b] || []).forEach(function (one) { others[key(one)] = one; });
    return (loaded[a] || []).filter(function (one) {
      return others[key(one)] && (!state.regime || one.label === state.regime) && (!state.size || one.size === state.size);
    }).map(function (one) {
      var found = paired(one, others[key(one)]);
      return { a: one, b: others[key(one)], found: found, p: found.p };
    });
  }

  function show(body, said, rows, state) {
    holm(rows);
    var most = reach(rows);
    body.textContent = "";
    var counts = { A: 0, B: 0, same: 0 };
    rows.forEach(function (row) {
      var line = document.createElement("tr"), one = row.a, found = row.found;
      var head = cell(line, "th", null, "pin"), link = cell(head, "a", one.task);
      head.setAttribute("scope", "row");
      link.href = document.body.getAttribute("data-up") + one.href + "#" + one.group;
      cell(head, "span", " " + one.size + " \u00b7 " + one.metric, "rev");
      var word = verdict(row);
      counts[word.indexOf("A better") > 0 ? "A" : word.indexOf("B better") > 0 ? "B" : "same"] += 1;
      cell(line, "td", word);
      cell(line, "td", number(one.value, one.unit), "num");
      cell(line, "td", number(row.b.value, one.unit), "num");
      cell(line, "td", number(found.difference, one.unit), "num strong");
      draw(cell(line, "td", null, "plot"), found, most[one.metric] || 1);
      cell(line, "td", row.p === null ? "none" : "[" + digits(found.low, one.unit) + ", " + digits(found.high, one.unit) + "]", "num");
      cell(line, "td", row.p === null ? "\u2013" : row.adjusted < 0.001 ? "< 0.001" : row.adjusted.toFixed(3), "num");
      cell(line, "td", one.label);
      body.appendChild(line);
    });
    said.textContent = !state.a || !state.b ? "Choose two models."
      : !rows.length ? "They have no result in common: no task that both were scored on in the same regime."
      : state.a + " is better on " + counts.A + ", " + state.b + " on " + counts.B + ", and " + counts.same +
        " cannot be told apart, of " + rows.length + " in common.";
  }

  function options(select, values, first) {
    var chosen = select.value;
    select.textContent = "";
    [["", first]].concat(values.map(function (value) { return [value, value]; })).forEach(function (pair) {
      var option = document.createElement("option");
      option.value = pair[0];
      option.textContent = pair[1];
      select.appendChild(option);
    });
    select.value = values.indexOf(chosen) >= 0 ? chosen : "";
  }

  function distinct(values) {
    return values.filter(function (value, i) { return values.indexOf(value) === i; });
  }

  function setUp(form) {
    var fields = ["a", "b", "regime", "size"].map(function (name) { return form.elements[name]; });
    var result = document.querySelector("[data-result]");
    var names = window.wbench.index.models.map(function (one) { return one[0]; });
    options(fields[0], names, "choose a model");
    options(fields[1], names, "choose a model");

    function state() {
      return { a: fields[0].value, b: fields[1].value, regime: fields[2].value, size: fields[3].value };
    }

    function apply(wanted) {
      var models = [fields[0].value, fields[1].value].filter(Boolean), waiting = models.length;
      function ready() {
        waiting -= 1;
        if (waiting > 0) return;
        var all = rowsOf(fields[0].value, fields[1].value, {});
        options(fields[2], distinct(all.map(function (row) { return row.a.label; })), "all that both have");
        options(fields[3], distinct(all.map(function (row) { return row.a.size; })), "all");
        if (wanted && wanted.regime) fields[2].value = wanted.regime;
        if (wanted && wanted.size) fields[3].value = wanted.size;
        fields.forEach(function (field) { if (field.selectedIndex < 0) field.value = ""; });
        var now = state();
        show(document.querySelector("[data-rows]"), document.querySelector("[data-verdict]"),
          rowsOf(now.a, now.b, now), now);
        result.hidden = false;
        var text = Object.keys(now).filter(function (name) { return now[name]; }).map(function (name) {
          return name + "=" + encodeURIComponent(now[name]);
        }).join("&");
        if (text) window.history.replaceState(null, "", "#" + text);
      }
      if (!models.length) {
        waiting = 1;
        ready();
      }
      models.forEach(function (model) { load(model, ready); });
    }

    function fromHash() {
      var found = {};
      window.location.hash.slice(1).split("&").forEach(function (part) {
        var at = part.indexOf("=");
        try {
          if (at > 0) found[part.slice(0, at)] = decodeURIComponent(part.slice(at + 1));
        } catch (error) {
          return; // a damaged address chooses nothing
        }
      });
      fields[0].value = names.indexOf(found.a) >= 0 ? found.a : "";
      fields[1].value = names.indexOf(found.b) >= 0 ? found.b : "";
      apply(found);
    }

    form.addEventListener("input", function () { apply(state()); });
    form.addEventListener("submit", function (event) { event.preventDefault(); });
    form.querySelector("[data-swap]").addEventListener("click", function () {
      var a = fields[0].value;
      fields[0].value = fields[1].value;
      fields[1].value = a;
      apply(state());
    });
    window.addEventListener("hashchange", fromHash);
    form.hidden = false;
    fromHash();
  }

  window.wbench = window.wbench || {};
  window.wbench.add = function (data) { loaded[data.model] = data.rows.map(record); };
  document.addEventListener("DOMContentLoaded", function () { setUp(document.querySelector("[data-compare]")); });
})();

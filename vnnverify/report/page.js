"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const rows = data.rows, CHUNK = 100;
  const body = document.querySelector("#rows tbody"), search = document.getElementById("search");
  const family = document.getElementById("family"), chips = document.getElementById("chips");
  const compared = data.names.length > 1;
  let shown = [], drawn = 0, sorted = { key: "", up: true };

  const make = (tag, text, name) => {
    const node = document.createElement(tag);
    if (text !== undefined && text !== null) node.textContent = text;
    if (name) node.className = name;
    return node;
  };
  const seconds = (s) => (s >= 100 ? s.toFixed(0) : s >= 10 ? s.toFixed(1) : s.toFixed(2));

  // What a row is found by, once.
  const text = rows.map((r, i) => {
    const d = data.details[i];
    return [r.f, r.m, r.q, r.v, r.b, d.reason, d.cause].join(" ").toLowerCase();
  });

  // Chips: the verdicts there are, then what deserves attention.
  const kinds = [
    ["unsat", (r) => r.v === "unsat"], ["sat", (r) => r.v === "sat"],
    ["undecided", (r) => r.v === "timeout" || r.v === "unknown"], ["error", (r) => r.v === "error"],
    ["not as expected", (r) => r.w === 1], ["contradiction", (r) => r.d === 1],
    ["decided by one", (r) => r.o && decided(r.v) !== decided(r.o[0])],
  ];
  const decided = (v) => v === "sat" || v === "unsat";
  for (const [name, test] of kinds) {
    const count = rows.filter(test).length;
    if (!count) continue;
    const chip = make("button", `${name} ${count.toLocaleString("en")}`);
    chip.type = "button";
    chip.test = test;
    chip.dataset.kind = name;
    chip.setAttribute("aria-pressed", "false");
    chip.onclick = () => {
      chip.setAttribute("aria-pressed", chip.getAttribute("aria-pressed") === "true" ? "false" : "true");
      refresh();
    };
    chips.append(chip);
  }
  family.append(new Option("all families", ""));
  for (const name of new Set(rows.map((r) => r.f))) family.append(new Option(name, name));
  family.hidden = family.options.length < 3;

  const points = [...document.querySelectorAll("#scatter-points use")];
  const pointOf = new Map(data.points.map((row, k) => [row, points[k]]));

  function refresh() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const tests = [...chips.children].filter((c) => c.getAttribute("aria-pressed") === "true").map((c) => c.test);
    shown = [];
    rows.forEach((r, i) => {
      if (family.value && r.f !== family.value) return;
      if (tests.length && !tests.some((test) => test(r))) return;
      if (words.every((word) => text[i].includes(word))) shown.push(i);
    });
    if (sorted.key) {
      const key = sorted.key, sign = sorted.up ? 1 : -1;
      const value = (i) => (key === "o" ? (rows[i].o ? rows[i].o[1] : Infinity) : rows[i][key]);
      shown.sort((a, b) => {
        const x = value(a), y = value(b);
        return sign * (x < y ? -1 : x > y ? 1 : 0) || a - b;
      });
    }
    const visible = new Set(shown);
    for (const [row, point] of pointOf) if (point) point.classList.toggle("dim", !visible.has(row));
    body.replaceChildren();
    drawn = 0;
    draw();
    const all = rows.length.toLocaleString("en");
    document.getElementById("count").value =
      shown.length === rows.length ? `${all} instances` : `${shown.length.toLocaleString("en")} of ${all}`;
  }

  function draw() {
    const part = document.createDocumentFragment();
    for (const index of shown.slice(drawn, drawn + CHUNK)) part.append(line(index));
    if (!shown.length) {
      const cell = make("td", "No instance matches.");
      cell.id = "none";
      cell.colSpan = 7;
      const empty = make("tr");
      empty.append(cell);
      part.append(empty);
    }
    drawn = Math.min(shown.length, drawn + CHUNK);
    body.append(part);
  }

  function line(index) {
    const r = rows[index], tr = make("tr", null, "row");
    tr.dataset.index = index;
    const first = make("td"), button = make("button", r.v, `verdict v-${r.v}`);
    button.type = "button";
    button.setAttribute("aria-expanded", "false");
    first.append(button);
    if (r.w) first.append(make("span", " wrong", "flag"));
    tr.append(first, make("td", r.f), make("td", r.m), make("td", r.q), make("td", r.b));
    tr.append(make("td", seconds(r.s), "num"));
    for (const [k, value] of [[2, r.m], [3, r.q]]) tr.children[k].title = value;
    if (compared) {
      const cell = make("td", r.o ? `${r.o[0]} ${seconds(r.o[1])}` : "–", "num muted");
      if (r.d) cell.className = "num flag";
      tr.append(cell);
    }
    return tr;
  }

  body.addEventListener("click", (event) => {
    const tr = event.target.closest("tr.row");
    if (tr && !window.getSelection().toString()) toggle(tr);
  });

  function toggle(tr) {
    const button = tr.querySelector("button"), next = tr.nextElementSibling;
    const open = next && next.classList.contains("detail");
    button.setAttribute("aria-expanded", String(!open));
    if (open) return next.remove();
    const detail = make("tr", null, "detail"), cell = make("td");
    cell.colSpan = compared ? 7 : 6;
    cell.append(details(Number(tr.dataset.index)));
    detail.append(cell);
    tr.after(detail);
  }

  function details(index) {
    const r = rows[index], d = data.details[index], box = make("div", null, "parts");
    const left = make("div"), right = make("div");
    const say = { unsat: "The property holds.", sat: "The property is violated.", error: "The run failed." };
    const sentence = say[r.v] || "Undecided.";
    left.append(make("p", r.w ? `${sentence} Expected: ${d.expected}.` : sentence, r.w ? "flag" : ""));
    if (d.reason) left.append(make("p", d.reason));
    const facts = [
      ["network", d.model], ["property", d.query], ["it says", d.asks],
      ["seconds", d.timeout ? `${r.s} of ${d.timeout}` : String(r.s)], ["expected", d.expected],
      ["cause", d.cause], ["result file", d.file], ["finished", d.finished],
    ].filter(([, value]) => value);
    if (compared && r.o) facts.splice(facts.findIndex(([name]) => name === "seconds") + 1, 0, [data.names[1], `${r.o[0]} in ${r.o[1]} s`]);
    left.append(make("h3", "Instance"), list(facts));
    if (d.why) right.append(make("h3", "Why it is open"), list(d.why));
    if (d.turns) {
      right.append(make("h3", "Turns"));
      const cells = d.turns.map(([name, verdict, took, open, said]) =>
        [name, verdict, took === null ? "" : `${seconds(took)} s`, said]);
      const turns = table(["backend", "ended", "took", "said"], cells);
      turns.className = "turns";
      right.append(turns);
    }
    if (d.witness) witness(d.witness, r.v, right);
    box.append(left, right);
    return box;
  }

  function witness(w, verdict, place) {
    place.append(make("h3", "Counterexample"));
    if (w.image) {
      const frame = make("div", null, "pictures"), pairs = [["original", "original (centre of the box)"], ["witness", "counterexample"]];
      if (w.image.difference) pairs.push(["difference", `difference, at most ${Number(w.image.most.toPrecision(3))}`]);
      for (const [key, label] of pairs) {
        if (!w.image[key]) continue;
        const item = make("div"), image = make("img");
        image.src = w.image[key];
        image.alt = label;
        item.append(image, make("span", label));
        frame.append(item);
      }
      place.append(frame);
      if (w.image.changed !== undefined) {
        place.append(make("p", `${w.image.changed.toLocaleString("en")} of ${w.nx.toLocaleString("en")} values differ.`, "muted"));
      }
    }
    const outputs = w.y.map((value, k) => [`Y_${k}`, value]);
    if (outputs.length) place.append(make("h3", cut("Outputs", w.y.length, w.ny)), scrolled(table(["", "value"], outputs)));
    if (!w.image || w.nx <= 40) {
      const inputs = w.x.map(([value, low, high], k) => [`X_${k}`, value, low === undefined ? "" : `${low} to ${high}`]);
      const head = ["", "value", w.x[0].length > 1 ? "may range over" : ""];
      place.append(make("h3", cut("Inputs", w.x.length, w.nx)), scrolled(table(head, inputs)));
    }
  }

  const cut = (what, some, all) => (some < all ? `${what}, the first ${some} of ${all.toLocaleString("en")}` : what);
  const scrolled = (node) => {
    const frame = make("div", null, "numbers");
    frame.append(node);
    return frame;
  };
  function list(pairs) {
    const node = make("dl");
    for (const [name, value] of pairs) node.append(make("dt", name), make("dd", value));
    return node;
  }
  function table(head, lines) {
    const node = make("table"), top = make("tr");
    for (const name of head) top.append(make("th", name));
    node.append(top);
    for (const cells of lines) {
      const tr = make("tr");
      for (const cell of cells) tr.append(make("td", cell));
      node.append(tr);
    }
    return node;
  }

  for (const th of document.querySelectorAll("#rows thead th")) {
    th.onclick = () => {
      const key = th.dataset.key;
      sorted = { key, up: sorted.key === key ? !sorted.up : key !== "s" && key !== "o" };
      for (const other of document.querySelectorAll("#rows thead th")) other.removeAttribute("aria-sort");
      th.setAttribute("aria-sort", sorted.up ? "ascending" : "descending");
      refresh();
    };
  }

  // The scatter plot: what a point is, and a way to its row.
  const tip = document.getElementById("tip");
  points.forEach((point, k) => {
    const r = rows[data.points[k]];
    point.addEventListener("pointerenter", (event) => {
      tip.replaceChildren(make("div", `${r.m} / ${r.q}`), make("div", `${data.names[0]}: ${r.v} ${seconds(r.s)} s`),
        make("div", `${data.names[1]}: ${r.o[0]} ${seconds(r.o[1])} s`));
      tip.hidden = false;
      const x = Math.min(event.clientX + 12, window.innerWidth - tip.offsetWidth - 8);
      tip.style.left = `${Math.max(8, x)}px`;
      tip.style.top = `${Math.max(8, event.clientY - tip.offsetHeight - 10)}px`;
    });
    point.addEventListener("pointerleave", () => { tip.hidden = true; });
    point.addEventListener("click", () => {
      search.value = `${r.m} ${r.q}`;
      family.value = "";
      for (const chip of chips.children) chip.setAttribute("aria-pressed", "false");
      refresh();
      const tr = body.querySelector(`tr[data-index="${data.points[k]}"]`);
      if (tr) toggle(tr);
      document.getElementById("instances").scrollIntoView({ behavior: "smooth" });
    });
  });

  search.oninput = refresh;
  family.onchange = refresh;
  new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting) && drawn < shown.length) draw();
  }, { rootMargin: "600px" }).observe(document.getElementById("more"));
  refresh();
})();

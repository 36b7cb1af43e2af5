// The page's script: reads forms, asks the module, shows what it answers. It computes nothing: every verdict, every
// assignment and every drawing comes from the module, which is the code of the command line.
"use strict";
(async () => {
  const find = (selector, from = document) => from.querySelector(selector);
  const state = find("#live");
  const say = (text) => { if (state) state.textContent = text; };
  if (typeof WebAssembly !== "object" || typeof DecompressionStream !== "function") {
    say("This browser has no WebAssembly or cannot unpack the module: shown as it was made, gates and policy cannot be tried.");
    return;
  }
  let session;
  try {
    const packed = Uint8Array.from(atob(find("#module").textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    await weir({ module_or_path: new Response(stream, { headers: { "content-type": "application/wasm" } }) });
    session = new weir.Session(find("#report").textContent);
  } catch (error) {
    say(`The live part could not be started, shown as it was made: ${error}`);
    return;
  }

  const reveal = (id) => {
    for (const part of document.querySelectorAll(`#${id}, nav a[href="#${id}"]`)) part.hidden = false;
  };
  const form = find("#gates-form");
  if (form) {
    if (session.agrees()) {
      reveal("try");
      whatIf(form);
      say("Judged again in this page from the same evidence, with the same result: gates can be tried.");
    } else {
      say("This page does not judge its evidence as the report does (another version, or part of the evidence was hidden), so gates cannot be tried here. Make the report again.");
    }
  } else {
    say("The report does not carry its gates and evidence, so gates cannot be tried here.");
  }
  reveal("policy");
  policy(find("#policy-form"));
  document.body.dataset.live = "ready";

  function whatIf(form) {
    const original = JSON.parse(find("#report").textContent).gates;
    const parts = new Map([...document.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, [part, part.innerHTML]]));

    const change = () => {
      const gates = structuredClone(original);
      gates.alpha = form.elements.alpha.valueAsNumber;
      gates.gates = [];
      for (const row of form.querySelectorAll("tr[data-gate]")) {
        const field = (name) => find(`[name=${name}]`, row);
        if (!field("counts").checked) continue;
        const gate = structuredClone(original.gates[Number(row.dataset.gate)]);
        gate.margin = { [field("kind").value]: field("margin").valueAsNumber };
        gate.severity = field("severity").value;
        gate.minimumEvidence = field("least").valueAsNumber;
        gates.gates.push(gate);
      }
      const result = { gates };
      for (const name of ["after", "until"]) {
        const value = form.elements[name]?.value;
        if (value) result[name] = Number(value);
      }
      result.without = [...form.querySelectorAll("[name=shown]:not(:checked)")].map((box) => JSON.parse(box.value));
      return JSON.stringify(result);
    };

    const changed = () => {
      let any = false;
      for (const field of form.querySelectorAll("input, select")) {
        const differs = field.type === "checkbox" ? !field.checked
          : field.tagName === "SELECT" ? ![...field.options].some((option, index) => option.selected && (option.defaultSelected || (index === 0 && ![...field.options].some((other) => other.defaultSelected))))
          : field.value !== field.defaultValue;
        field.classList.toggle("changed", differs);
        any ||= differs;
      }
      return any;
    };

    const cells = [...form.querySelectorAll("[data-outcome]")].map((cell) => [cell, cell.innerHTML]);

    const problems = (text) => {
      find("#problems").textContent = text;
      find("#problems").hidden = !text;
    };

    // Over time is as many evaluations as there are looks: one after the other, so that the page stays awake, and given up
    // when something else is tried.
    let round = 0;
    const overTime = async () => {
      const mine = ++round;
      const tried = change();
      try {
        for (let look = 0; look < session.looks(); look += 1) {
          session.measure_look(tried, look);
          await new Promise((resume) => setTimeout(resume));
          if (mine !== round) return;
        }
        put("trajectories", session.over_time(tried));
        document.body.dataset.overTime = String(mine);
      } catch {
        // What is wrong with the change stands below the form already.
      }
    };

    // Only what differs from what is shown is drawn again.
    const drawn = new Map([...parts].map(([name, [, html]]) => [name, html]));
    const put = (name, html) => {
      if (!parts.has(name) || drawn.get(name) === html) return;
      parts.get(name)[0].innerHTML = html;
      drawn.set(name, html);
    };

    let later;
    const show = () => {
      clearTimeout(later);
      round += 1;
      const any = changed();
      document.body.classList.toggle("trying", any);
      find("#yaml").hidden = true;
      problems("");
      if (!any) {
        for (const [name, [, html]] of parts) put(name, html);
        for (const [cell, html] of cells) cell.innerHTML = html;
        find("#trial").textContent = "";
        return;
      }
      const started = performance.now();
      try {
        const view = JSON.parse(session.view(change()));
        for (const [name, html] of Object.entries(view.parts)) put(name, html);
        const outcomes = new Map(view.outcomes);
        for (const [cell] of cells) cell.innerHTML = outcomes.get(cell.dataset.outcome) ?? "left out";
        find("#trial").textContent = view.said;
        document.body.dataset.verdict = view.verdict;
      } catch (error) {
        find("#trial").textContent = "These gates cannot be judged; above is the last that could.";
        problems(String(error));
      }
      if (parts.has("trajectories")) later = setTimeout(overTime, 300);
      document.body.dataset.answeredMs = (performance.now() - started).toFixed(1);
    };

    form.addEventListener("input", show);
    form.addEventListener("reset", () => setTimeout(show));
    form.addEventListener("submit", (event) => event.preventDefault());
    find("#export").addEventListener("click", () => {
      try {
        problems("");
        const text = session.yaml(change());
        const area = find("#yaml");
        area.hidden = false;
        area.value = text;
        area.focus();
        area.select();
        const link = document.createElement("a");
        link.download = "gates.yaml";
        link.href = URL.createObjectURL(new Blob([text], { type: "application/yaml" }));
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 1000);
      } catch (error) {
        problems(String(error));
      }
    });
    // What the tests call: the same path as the form, with a whole gates document.
    window.weirReport = (text) => session.report(text);
  }

  function policy(form) {
    const field = form.elements.policy;
    const before = field.value;
    const result = find("#assignment");
    const show = () => {
      if (!field.value.trim()) {
        result.textContent = "Paste a policy to see who gets what.";
        return;
      }
      try {
        result.innerHTML = weir.assign(field.value, before, form.elements.headers.value);
      } catch (error) {
        const text = document.createElement("pre");
        text.className = "problem";
        text.tabIndex = 0;
        text.textContent = String(error);
        result.replaceChildren(text);
      }
    };
    form.addEventListener("input", show);
    form.addEventListener("submit", (event) => event.preventDefault());
    show();
  }
})();

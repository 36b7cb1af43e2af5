// The page's module in Node, and random changes of gates.
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The module's exports, with the browser's glue and without its page. */
export function loadModule(folder) {
  const glue = readFileSync(join(folder, "glue.js"), "utf8");
  const weir = new Function(`${glue}; return weir;`)();
  weir.initSync({ module: readFileSync(join(folder, "page.wasm")) });
  return weir;
}

/** Numbers from 0 to 1, always the same ones for a seed (a linear congruential generator). */
export function randomNumbers(seed) {
  let state = BigInt(seed);
  return () => {
    state = (state * 6364136223846793005n + 1442695040888963407n) % (1n << 64n);
    return Number(state >> 33n) / 2 ** 31;
  };
}

/** A gates document with a few things changed. */
export function changeGates(gates, random) {
  const pick = (items) => items[Math.floor(random() * items.length)];
  const changed = structuredClone(gates);
  if (random() < 0.5) changed.alpha = 0.001 + random() * 0.3;
  for (const gate of changed.gates) {
    if (random() < 0.5) gate.margin = { [pick(["absolute", "relative", "ofScale"])]: 0.001 + random() ** 2 * 0.9 };
    if (random() < 0.4) gate.severity = pick(["critical", "major", "advisory"]);
    if (random() < 0.3) gate.minimumEvidence = 1 + Math.floor(random() * 600);
    if (random() < 0.1) gate.direction = pick(["higher", "lower", "both"]);
  }
  changed.gates = changed.gates.filter((_, index) => index === 0 || random() < 0.9);
  return changed;
}

/** A change that, one time in three, also leaves out a segment or a part of the time. */
export function changeEvidence(change, report, random) {
  const pick = (count) => Math.floor(random() * count);
  if (random() < 0.33 && report.looks.length > 2) change.until = 1 + pick(report.looks.length - 1);
  if (change.until !== undefined && random() < 0.5) change.after = pick(change.until);
  const segments = report.evaluation.segments;
  if (random() < 0.33 && segments.length > 0) {
    const { dimension, value } = segments[pick(segments.length)];
    change.without = [{ [dimension]: value }];
  }
  return change;
}

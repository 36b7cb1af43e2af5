// The reports that the browser opens: the demo's, real answers, a hostile one, a large one. All made by the weir binary.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const HOSTILE = "</script></pre><script>window.hacked=1</script><img src=x onerror=\"window.hacked=2\"><svg onload=window.hacked=3>"
  + "\u202egnp.exe\u2066\u200f\u001b[2J\u001b]0;title\u0007\u0000 ]]> `x` {{7*7}} javascript:window.hacked=4 https://e.example/ '\"&amp;&lt;";

/** Runs weir; throws with what it said when its exit code is not among the expected. */
export function weir(binary, words, codes = [0, 1, 3, 4]) {
  const done = spawnSync(binary, words, { encoding: "utf8", maxBuffer: 2 ** 30 });
  if (!codes.includes(done.status)) {
    throw new Error(`weir ${words.join(" ")}: exit code ${done.status}\n${done.stderr}`);
  }
  return done.stdout;
}

/** A folder of data from legs, and its report as HTML and JSON. */
function analyzed(binary, folder, lines, gates) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const legs = join(folder, "legs.jsonl");
  writeFileSync(legs, lines);
  const data = join(folder, "data");
  weir(binary, ["import", "--format", "jsonl", legs, "--data", data]);
  const files = { html: join(folder, "report.html"), json: join(folder, "report.json") };
  const words = ["analyze", "--data", data, "--output-file", files.html, "--output-file", files.json];
  if (gates) {
    writeFileSync(join(folder, "gates.json"), JSON.stringify(gates));
    words.push("--gates", join(folder, "gates.json"));
  }
  weir(binary, words);
  return files;
}

const leg = (id, leg, variant, second, rest) => JSON.stringify({
  sample_id: id, leg, variant, ts: new Date(Date.UTC(2026, 1, 11, 9, 0, 0) + second * 1000).toISOString(), status: 200, ...rest,
});

/** The demo's own report, where an Envoy is installed. */
export function demo(binary, folder, envoy) {
  if (!existsSync(envoy)) return null;
  rmSync(folder, { recursive: true, force: true });
  weir(binary, ["demo", "--out", folder], [0]);
  return { html: join(folder, "report.html"), json: join(folder, "report.json") };
}

/** Recorded answers of two models with a judge's scores, where the folder is there. */
export function real(binary, folder, answers) {
  if (!existsSync(answers)) return null;
  const lines = (path) => readFileSync(path, "utf8").trim().split("\n").map((line) => JSON.parse(line));
  const outputs = (model) => new Map(lines(join(answers, "outputs", `${model}.jsonl`)).map((one) => [one.id, one]));
  const [control, candidate] = [outputs("gpt-3.5-turbo-1106"), outputs("gpt-3.5-turbo-1106_concise")];
  const legs = [];
  lines(join(answers, "instructions.jsonl")).forEach(({ id, dataset, instruction }, second) => {
    for (const [kind, variant, side] of [["primary", "control", control], ["shadow", "candidate", candidate]]) {
      const answer = side.get(id);
      if (!answer) continue;
      legs.push(leg(id, kind, variant, second, {
        request_text: instruction, response_text: answer.output, tags: { dataset },
        ...(typeof answer.judge_score === "number" ? { scores: { judge: answer.judge_score } } : {}),
      }));
    }
  });
  return analyzed(binary, folder, legs.join("\n"), null);
}

/** The project's example: small, with scores; and two tiers, so that there are segments. */
export function example(binary, folder, file) {
  const lines = readFileSync(file, "utf8").trim().split("\n").map((line) => JSON.parse(line));
  const tier = ({ sample_id }) => (Number(sample_id.replace(/\D/g, "")) % 3 ? "general" : "beta");
  return analyzed(binary, folder, lines.map((line) => JSON.stringify({ ...line, tier: tier(line) })).join("\n"), null);
}

/** Scripts, markup, escapes, broken UTF-8 and megabyte answers, by way of the data and by way of the report's JSON. */
export function hostile(binary, folder, gates) {
  const legs = [];
  for (let index = 0; index < 120; index += 1) {
    const id = `h-${index}`;
    const huge = index === 3 ? "<b>".repeat(345_000) : "";
    legs.push(leg(id, "primary", "control", index, { request_text: HOSTILE, response_text: `${HOSTILE} a longer answer of the control ${index}`, model: HOSTILE, snapshot: HOSTILE, tags: { place: HOSTILE }, scores: { helpful: 0.9 } }));
    legs.push(leg(id, "shadow", "candidate", index, { request_text: HOSTILE, response_text: `${HOSTILE}${huge}`, model: HOSTILE, snapshot: `${HOSTILE}2`, tags: { place: HOSTILE }, scores: { helpful: 0.2 } }));
  }
  const files = analyzed(binary, folder, legs.join("\n"), gates);
  const report = JSON.parse(readFileSync(files.json, "utf8"));
  const poisoned = poison(report);
  writeFileSync(files.json, JSON.stringify(poisoned));
  const page = join(folder, "poisoned.html");
  weir(binary, ["report", files.json, "--output-file", page]);
  // Bytes that are no UTF-8 are refused where they come in, with the place.
  const broken = join(folder, "broken.jsonl");
  writeFileSync(broken, Buffer.concat([Buffer.from('{"sample_id":"b","leg":"primary","variant":"control","ts":"2026-02-11T09:00:00Z","response_text":"'), Buffer.from([0xff, 0xfe, 0xc3, 0x28]), Buffer.from('"}\n')]));
  weir(binary, ["import", "--format", "jsonl", broken, "--data", join(folder, "broken")], [5]);
  return { html: files.html, json: files.json, poisoned: page };
}

/** Every text of a report replaced; words that the format itself needs stay. */
function poison(report) {
  const words = new Set(["schema", "verdict", "outcome", "better", "severity", "comparison", "kind"]);
  const walk = (value, key) => {
    if (typeof value === "string") return words.has(key) ? value : HOSTILE;
    if (Array.isArray(value)) return value.map((item) => walk(item, key));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, walk(item, name)]));
    }
    return value;
  };
  const { gates, evidence, ...rest } = report;
  const side = { counts: [1, 2, 3], n: 6, mean: 1, p50: 1, p95: 2 };
  return {
    ...walk(rest, ""), gates, evidence,
    step: { name: HOSTILE, number: 1, of: 2, candidate_percent: 5 },
    policy: { [HOSTILE]: HOSTILE },
    timeline: [{ at: HOSTILE, kind: HOSTILE, text: HOSTILE }],
    trajectories: [{ gate: HOSTILE, unit: HOSTILE, relative: false, better: "higher", margin: 0.1, points: [0, 1, 2].map((n) => ({ at: HOSTILE, n, estimate: 0, low: -0.1, high: 0.1 })) }],
    distributions: [{ metric: HOSTILE, unit: HOSTILE, edges: [0, 1, 2, 3], control: side, candidate: side, noise: side }],
    prompts: { method: HOSTILE, points: [{ sample_id: HOSTILE, x: 0, y: 1, shift: 0.9, text: HOSTILE }, { sample_id: HOSTILE, x: 1, y: 0, shift: 0.1, text: HOSTILE }] },
    judges: [{ criterion: HOSTILE, judge: HOSTILE, calibrated: false, text: HOSTILE, labels: 3, measure: HOSTILE, agreement: 0.5, interval: [0.1, 0.9] }],
    exemplars: rest.exemplars.map((one, index) => ({ ...walk(one, ""), kind: index % 2 ? "typical" : "worst", remarks: [HOSTILE] })),
  };
}

/** 10,000 pairs and 50 gates. */
export function large(binary, folder, random) {
  const legs = [];
  const scores = (shift) => Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`s${index}`, Number(Math.min(1, Math.max(0, random() * 0.5 + 0.3 - shift)).toFixed(3))]));
  for (let index = 0; index < 10_000; index += 1) {
    for (const [kind, variant, shift] of [["primary", "control", 0], ["shadow", "candidate", 0.01]]) {
      legs.push(leg(`l-${index}`, kind, variant, index, {
        request_text: `question ${index}`, response_text: "word ".repeat(5 + Math.floor(random() * 20)),
        latency_ms: 100 + Math.floor(random() * 400), scores: scores(shift),
      }));
    }
  }
  const gate = (name, metric, margin) => ({ name, metric, margin, severity: "major" });
  const gates = { apiVersion: "weir/v1", kind: "Gates", alpha: 0.05, gates: [
    ...Array.from({ length: 40 }, (_, index) => gate(`s${index}`, `score:s${index}`, { absolute: 0.03 })),
    ...["error", "empty", "refusal", "hedging", "truncated_answer", "error", "empty", "refusal"].map((metric, index) => gate(`flag-${index}`, metric, { absolute: 0.02 })),
    gate("length", "response_chars", { relative: 0.2 }), gate("latency", "latency_ms", { relative: 0.2 }),
  ] };
  return analyzed(binary, folder, legs.join("\n"), gates);
}

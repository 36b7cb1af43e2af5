// Reports in a headless Chromium: nothing leaves, nothing executes, everything can be read and reached by keyboard, and the
// page's verdicts are the command line's. Run by `make test-browser`; WEIR, WEIR_PAGE, WEIR_OUT and CHROMIUM say where things are.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { changeEvidence, changeGates, loadModule, randomNumbers } from "./module.mjs";
import * as reports from "./reports.mjs";

const ROOT = resolve(import.meta.dirname, "../..");
const { WEIR, WEIR_PAGE, WEIR_OUT, CHROMIUM = "/usr/bin/chromium" } = process.env;
const CHANGES = Number(process.env.WEIR_CHANGES ?? 1000);
const SEED = 20261121;
const PAGE_BYTES_MAX = 2 * 2 ** 20;
// A page that never comes alive is wrong; how fast it does is measured elsewhere, on machines that may be busy with other things.
const LIVE_MS_MAX = 180_000;
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const run = promisify(execFile);

mkdirSync(WEIR_OUT, { recursive: true });
const gates = JSON.parse(readFileSync(join(import.meta.dirname, "gates.json"), "utf8"));
const made = {
  example: reports.example(WEIR, join(WEIR_OUT, "example"), join(ROOT, "examples/logs/support.jsonl")),
  hostile: reports.hostile(WEIR, join(WEIR_OUT, "hostile"), gates),
  large: reports.large(WEIR, join(WEIR_OUT, "large"), randomNumbers(SEED)),
  real: reports.real(WEIR, join(WEIR_OUT, "real"), join(ROOT, "../shared/data/alpaca_eval")),
  demo: reports.demo(WEIR, join(WEIR_OUT, "demo"), process.env.WEIR_ENVOY ?? join(ROOT, ".venv/bin/envoy")),
};
for (const name of ["real", "demo"]) {
  if (!made[name]) console.log(`skipped: the report of ${name}: ${name === "real" ? "../shared/data is not there" : "no Envoy in .venv"}`);
}

const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
try {
  const pages = [["example", made.example.html], ["hostile", made.hostile.html], ["poisoned", made.hostile.poisoned], ["large", made.large.html]];
  for (const name of ["real", "demo"]) if (made[name]) pages.push([name, made[name].html]);
  for (const [name, file] of pages) await opens(name, file);
  await withoutScripts(made.example.html);
  await withoutWebAssembly(made.example.html);
  await byKeyboard(made.example.html);
  await playground(made.example.html);
  await fast(made.large.html);
  await sameAsCommandLine(made.example);
  sizes(made);
} finally {
  await browser.close();
}
console.log("all browser tests passed");

/** Opens a file and watches for everything that must not happen. */
async function open(file, options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const wrong = [];
  page.on("console", (message) => { if (["error", "warning"].includes(message.type())) wrong.push(`console: ${message.text()}`); });
  page.on("pageerror", (error) => wrong.push(`error: ${error}`));
  page.on("dialog", (dialog) => { wrong.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  const url = pathToFileURL(file).href;
  page.on("request", (request) => {
    const to = request.url();
    if (to !== url && !to.startsWith("blob:")) wrong.push(`request: ${to.slice(0, 200)}`);
  });
  const started = performance.now();
  await page.goto(url);
  if (options.javaScriptEnabled !== false && !options.dead) await page.waitForSelector("body[data-live=ready]", { timeout: LIVE_MS_MAX });
  return { context, page, wrong, opened_ms: performance.now() - started };
}

async function opens(name, file) {
  const looks = [
    ["light", { colorScheme: "light", viewport: { width: 1280, height: 900 } }],
    ["dark", { colorScheme: "dark", viewport: { width: 1280, height: 900 } }],
    ["phone", { colorScheme: "light", viewport: { width: 390, height: 844 } }],
  ];
  for (const [look, options] of looks) {
    const { context, page, wrong } = await open(file, options);
    assert.equal(await page.evaluate(() => window.hacked), undefined, `${name}: something executed`);
    assert.match(await page.textContent("h1"), /Promote|Hold|Investigate|Sign-off|Roll back/);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(wide <= 0, `${name} ${look}: ${wide} pixels too wide`);
    await page.screenshot({ path: join(WEIR_OUT, `${name}-${look}.png`) });
    if (name !== "large") await page.screenshot({ path: join(WEIR_OUT, `${name}-${look}-whole.png`), fullPage: true });
    // One part after the other where there are thousands of elements, among which axe-core compares each with each.
    const parts = name === "large" ? await page.$$eval("header, section[id]", (all) => all.map((part) => (part.id ? `#${part.id}` : "header"))) : [undefined];
    assert.ok(parts.length === 1 || parts.length > 8, `${parts}`);
    for (const part of parts) await accessible(page, `${name} ${look}`, part);
    assert.deepEqual(wrong, [], `${name} ${look}`);
    await context.close();
  }
  console.log(`ok: ${name}: nothing leaves, nothing executes, no violation of WCAG 2 AA, light, dark, phone`);
}

/** axe-core finds nothing against WCAG 2 AA; it comes by the debugging protocol, which the page's policy does not bind. */
async function accessible(page, what, part) {
  const session = await page.context().newCDPSession(page);
  await session.send("Runtime.evaluate", { expression: AXE });
  const found = await page.evaluate(async (part) => {
    const result = await window.axe.run(part ? document.querySelector(part) : document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], resultTypes: ["violations"] });
    return result.violations.map((one) => `${one.id}: ${one.help}: ${one.nodes.slice(0, 3).map((node) => node.html.slice(0, 200)).join(" | ")}`);
  }, part);
  assert.deepEqual(found, [], `${what} ${part ?? ""}`);
}

async function withoutScripts(file) {
  const { context, page, wrong } = await open(file, { javaScriptEnabled: false });
  assert.match(await page.textContent("h1"), /Roll back/);
  assert.match(await page.textContent("#live"), /without scripts and WebAssembly, gates and policy cannot be tried/);
  assert.ok(!(await page.isVisible("#try")) && !(await page.isVisible("#policy")), "forms that do nothing are not shown");
  assert.deepEqual(wrong, []);
  await context.close();
  console.log("ok: without scripts the verdict is there, and what is missing is said");
}

async function withoutWebAssembly(file) {
  const context = await browser.newContext();
  await context.addInitScript(() => { delete globalThis.WebAssembly; });
  const page = await context.newPage();
  await page.goto(pathToFileURL(file).href);
  await page.waitForFunction(() => document.querySelector("#live").textContent.includes("no WebAssembly"));
  assert.match(await page.textContent("h1"), /Roll back/);
  assert.ok(!(await page.isVisible("#try")));
  await context.close();
  console.log("ok: without WebAssembly the verdict is there, and what is missing is said");
}

/** Everything can be reached and worked by keyboard: a margin, the reset, the export. */
async function byKeyboard(file) {
  const { context, page, wrong } = await open(file, { acceptDownloads: true });
  const before = await page.textContent("h1");
  const seen = new Set();
  let focused = "";
  for (let step = 0; step < 400; step += 1) {
    await page.keyboard.press("Tab");
    focused = await page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent?.trim().slice(0, 40) ?? "");
    seen.add(focused);
    if (focused === "Margin of score-helpful") break;
  }
  assert.ok(seen.has("To the gates"), "the first stop leads to the gates");
  assert.equal(focused, "Margin of score-helpful");
  await page.keyboard.press("Control+A");
  await page.keyboard.type("0.5");
  await page.waitForFunction(() => document.querySelector("#trial").textContent.includes("instead of rollback"));
  assert.notEqual(await page.textContent("h1"), before);
  assert.ok(await page.evaluate(() => document.body.classList.contains("trying")), "a trial cannot be taken for the report");
  await accessible(page, "while trying");
  await page.screenshot({ path: join(WEIR_OUT, "trying.png") });
  for (let step = 0; step < 200 && focused !== "Export these gates as YAML"; step += 1) {
    await page.keyboard.press("Tab");
    focused = await page.evaluate(() => document.activeElement?.textContent?.trim() ?? "");
  }
  const [download] = await Promise.all([page.waitForEvent("download"), page.keyboard.press("Enter")]);
  const exported = join(WEIR_OUT, "gates.yaml");
  await download.saveAs(exported);
  assert.match(reports.weir(WEIR, ["validate", exported]), /gates, \d+ of them/);
  assert.match(readFileSync(exported, "utf8"), /(absolute|ofScale): 0\.5/);
  await page.focus("button[type=reset]");
  await page.keyboard.press("Enter");
  await page.waitForFunction((text) => document.querySelector("h1").textContent === text, before);
  assert.deepEqual(wrong, []);
  await context.close();
  console.log("ok: by keyboard: a margin changed, the verdict followed, the gates exported and read by weir validate, all put back");
}

async function playground(file) {
  const { context, page, wrong } = await open(file);
  const policy = join(ROOT, "examples/policies/canary.yaml");
  await page.fill("#policy-form [name=policy]", readFileSync(policy, "utf8"));
  await page.fill("#policy-form [name=headers]", "x-user-id: ada\nx-tier: internal");
  const said = JSON.parse(reports.weir(WEIR, ["assign", policy, "--header", "x-user-id=ada", "--header", "x-tier=internal", "--output", "json"]));
  const shown = await page.textContent("#assignment");
  for (const part of [said.why, said.cohort, said.tier, said.rule, said.identity_hash, `${said.bucket_ppm} of 1000000`]) {
    assert.ok(shown.includes(String(part)), `${part} in ${shown}`);
  }
  await page.fill("#policy-form [name=policy]", "kind: Policy\nmode: canry");
  assert.match(await page.textContent("#assignment"), /did you mean `canary`/);
  assert.deepEqual(wrong, []);
  await context.close();
  console.log("ok: the playground says what weir assign says");
}

async function fast(file) {
  const { context, page, wrong, opened_ms } = await open(file);
  const painted_ms = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? NaN);
  const answer = () => page.evaluate(() => Number(document.body.dataset.answeredMs));
  const median = (times) => times.sort((one, other) => one - other)[Math.floor(times.length / 2)].toFixed(1);
  const tries = {
    "a margin": (index) => page.locator("[name=margin]").nth(index).fill(String(0.011 + index * 0.003)),
    "a severity": (index) => page.locator("[name=severity]").nth(index).selectOption(index % 2 ? "advisory" : "critical"),
    alpha: (index) => page.fill("[name=alpha]", String(0.02 + index * 0.01)),
    "the time": (index) => page.selectOption("[name=until]", String(index + 8)),
  };
  const said = [];
  for (const [what, change] of Object.entries(tries)) {
    const times = [];
    for (let index = 0; index < 7; index += 1) {
      await change(index);
      times.push(await answer());
    }
    said.push(`${what} ${median(times)} ms`);
    await page.locator("#gates-form [type=reset]").click();
  }
  assert.deepEqual(wrong, []);
  console.log(`figures: 10,000 pairs, 50 gates: readable after ${painted_ms.toFixed(0)} ms (aim 1000), judged again and ready for trials after ${opened_ms.toFixed(0)} ms; a what-if answered (medians of 7, aim 50): ${said.join(", ")}`);
  await context.close();
}

/** The module in Node against the binary, then the page against the binary, byte for byte. */
async function sameAsCommandLine(files) {
  const text = readFileSync(files.json, "utf8");
  const original = JSON.parse(text).gates;
  const random = randomNumbers(SEED);
  const report = JSON.parse(text);
  const changes = Array.from({ length: CHANGES }, () => changeEvidence({ gates: changeGates(original, random) }, report, random));
  const weir = loadModule(WEIR_PAGE);
  const session = new weir.Session(text);
  assert.ok(session.agrees(), "without a change the module judges as the report does");
  const verdicts = new Map();
  const expected = [];
  let next = 0;
  const worker = async (number) => {
    while (next < changes.length) {
      const index = next++;
      const file = join(WEIR_OUT, `change-${number}.json`);
      const { gates, after, until, without } = changes[index];
      writeFileSync(file, JSON.stringify(gates));
      const words = ["report", files.json, "--gates", file, "--output", "json"];
      if (after !== undefined) words.push("--after", report.looks[after].at);
      if (until !== undefined) words.push("--until", report.looks[until].at);
      for (const segment of without ?? []) words.push("--without", Object.entries(segment).map((label) => label.join("="))[0]);
      expected[index] = await commandLine(words);
    }
  };
  await Promise.all([worker(0), worker(1)]);
  changes.forEach((change, index) => {
    const answered = session.report(JSON.stringify(change));
    if (answered !== expected[index]) {
      const [ours, theirs] = [answered.split("\n"), expected[index].split("\n")];
      const line = ours.findIndex((one, at) => one !== theirs[at]);
      assert.fail(`change ${index}, line ${line + 1}: the page says ${ours[line]}, the command line ${theirs[line]}; change ${JSON.stringify(change)}`);
    }
    const { verdict } = JSON.parse(answered).evaluation;
    verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
  });
  assert.ok(verdicts.size >= 3, "the changes lead to different verdicts");
  console.log(`ok: ${changes.length} changes of gates, segments and time, byte for byte as weir report --gates: ${[...verdicts].map(([verdict, count]) => `${count} ${verdict}`).join(", ")}`);
  const { context, page } = await open(files.html);
  for (let index = 0; index < Math.min(20, changes.length); index += 1) {
    const answered = await page.evaluate((change) => window.weirReport(JSON.stringify(change)), changes[index]);
    assert.equal(answered, expected[index], `change ${index} in the page`);
  }
  await context.close();
  console.log("ok: 20 of them through the page");
}

/** What the binary prints, whatever its verdict. */
async function commandLine(words) {
  try {
    return (await run(WEIR, words, { maxBuffer: 2 ** 28 })).stdout;
  } catch (error) {
    if ([1, 3, 4].includes(error.code)) return error.stdout;
    throw error;
  }
}

function sizes(made) {
  const html = readFileSync(made.example.html, "utf8");
  const data = html.match(/<script type="application\/json" id="report">([^]*?)<\/script>/)[1].length;
  const page = statSync(made.example.html).size - data;
  assert.ok(page < PAGE_BYTES_MAX, `${page} bytes without data`);
  console.log(`ok: ${Math.ceil(page / 1024)} KiB without data (at most 2048)`);
}

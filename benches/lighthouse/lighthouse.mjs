// The median of five runs of Lighthouse, as a phone on a slow network, for every page that a visitor meets.

import { once } from "node:events";
import net from "node:net";

import lighthouse from "lighthouse";

import { Browser } from "../../tests/browser/browser.mjs";
import { Gateway } from "../../tests/browser/gateway.mjs";

const PAGES = ["/.auth/login", "/.auth/signup"];
const RUNS = 5;
// Runs that Lighthouse itself calls void, as on a machine that is too busy.
const VOID_RUNS = 5;
const CATEGORIES = ["performance", "accessibility", "best-practices"];

async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

async function judge(url, port) {
  const { lhr } = await lighthouse(url, { port, onlyCategories: CATEGORIES, logLevel: "error" });
  if (lhr.runtimeError) {
    console.error(lhr.runtimeError.message);
    return null;
  }
  const requests = lhr.audits["network-requests"].details.items;
  return {
    ...Object.fromEntries(CATEGORIES.map((name) => [name, Math.round(lhr.categories[name].score * 100)])),
    kib: requests.reduce((sum, { transferSize }) => sum + transferSize, 0) / 1024,
    scripts: requests.filter(({ resourceType }) => resourceType === "Script").length,
    contentful: lhr.audits["first-contentful-paint"].numericValue,
    shift: lhr.audits["cumulative-layout-shift"].numericValue,
  };
}

const gateway = await Gateway.start();
const port = await freePort();
let browser;
try {
  browser = await Browser.start([gateway.authority], [`--remote-debugging-port=${port}`]);
  console.log("| page | performance | accessibility | best practices | transferred, KiB | scripts | first paint, ms | shift |");
  console.log("|---|---:|---:|---:|---:|---:|---:|---:|");
  for (const page of PAGES) {
    const runs = [];
    for (let run = 0; run < RUNS + VOID_RUNS && runs.length < RUNS; run++) {
      const judged = await judge(gateway.origin + page, port);
      if (judged) runs.push(judged);
    }
    if (runs.length < RUNS) throw new Error(`${page}: too many void runs`);
    const of = (name) => median(runs.map((run) => run[name]));
    const scores = CATEGORIES.map(of).join(" | ");
    const rest = [of("kib").toFixed(1), of("scripts"), of("contentful").toFixed(0), of("shift").toFixed(3)];
    console.log(`| \`${page}\` | ${scores} | ${rest.join(" | ")} |`);
  }
} finally {
  await browser?.stop();
  await gateway.stop();
}

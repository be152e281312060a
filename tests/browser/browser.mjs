// Debian's Chromium, trusting the gateways' own authorities and nothing beyond what it trusts anyway.

import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";

import { chromium } from "playwright-core";

const run = promisify(execFile);

export const LANGUAGES = ["en", "ko"];

// The ways of a visitor who needs no script of ours: by default each language has one of them, in the full tier both.
export const WAYS = LANGUAGES.flatMap((lang) =>
  [true, false].map((script) => ({ lang, script, how: `in ${lang}${script ? "" : " without JavaScript"}` })),
).filter(({ lang, script }) => process.env.VESTIBULE_FULL || (lang === "en") === script);

const LOCALES = { en: "en-US", ko: "ko-KR" };

export class Browser {
  // `authorities` are the PEM files of authorities to trust; `options` are further ones of Chromium's.
  static async start(authorities, options = []) {
    const home = await mkdtemp(path.join(tmpdir(), "vestibule-chromium-"));
    const database = path.join(home, ".pki", "nssdb");
    await mkdir(database, { recursive: true });
    await run("certutil", ["-d", `sql:${database}`, "-N", "--empty-password"]);
    for (const authority of authorities) {
      await run("certutil", ["-d", `sql:${database}`, "-A", "-t", "C,,", "-n", authority, "-i", authority]);
    }
    const browser = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      env: { ...process.env, HOME: home },
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        ...options,
      ],
    });
    return new Browser(home, browser);
  }

  constructor(home, browser) {
    this.home = home;
    this.browser = browser;
  }

  // Calls `visit` with a page of a new visitor: no cookies, and this language, time zone, size and colour scheme.
  async visit({ origin, lang = "en", zone, width = 1280, height = 800, scale = 1, dark = false, script = true }, visit) {
    const context = await this.browser.newContext({
      baseURL: origin,
      locale: LOCALES[lang],
      timezoneId: zone,
      viewport: { width, height },
      deviceScaleFactor: scale,
      colorScheme: dark ? "dark" : "light",
      javaScriptEnabled: script,
      reducedMotion: "reduce",
    });
    context.setDefaultTimeout(20_000);
    try {
      return await visit(await context.newPage());
    } finally {
      await context.close();
    }
  }

  async stop() {
    await this.browser.close();
    await rm(this.home, { recursive: true, force: true });
  }
}

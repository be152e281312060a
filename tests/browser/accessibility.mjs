// Every page in every state: nothing for axe-core to find, nothing wider than the screen, and, with VESTIBULE_PICTURES or
// in the full tier, a picture to look at.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";

import { violations } from "./axe.mjs";
import { Browser, LANGUAGES } from "./browser.mjs";
import { Houses } from "./houses.mjs";
import { STATES } from "./states.mjs";

const pictures = fileURLToPath(new URL("screenshots/", import.meta.url));
const isPictured = Boolean(process.env.VESTIBULE_PICTURES || process.env.VESTIBULE_FULL);

// A file a language, so that they run side by side.
let houses, browser;

async function build() {
  if (isPictured) await mkdir(pictures, { recursive: true });
  houses = await Houses.start();
  const names = new Set(Object.values(STATES).map(([house]) => house));
  browser = await Browser.start([...names].map((house) => houses[house].authority));
}

async function leave() {
  await browser?.stop();
  await houses?.stop();
}

const visit = (house, look, act) => browser.visit({ origin: houses[house].origin, ...look }, act);

const overflow = (page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

// Every two of language, width and colours meet; the full tier has all three of each. Narrow ones come first: a menu
// that is opened there has no fold on a wide screen.
const LOOKS = [320, 360, 1280]
  .flatMap((width) => LANGUAGES.flatMap((lang) => [false, true].map((dark) => ({ lang, width, dark }))))
  .filter(({ lang, width, dark }) =>
    width === 320
      ? lang === "en" && !dark
      : process.env.VESTIBULE_FULL || ((lang === "ko") !== (width === 360)) === dark,
  );

/** Looks at every page in one language. */
export function examine(lang) {
  before(build);
  after(leave);
  const looks = LOOKS.filter((look) => look.lang === lang);
  describe(lang, () => {
    for (const [state, [house, lead, status = 200]] of Object.entries(STATES)) {
      it(state, (test) =>
        visit(house, looks[0], async (page) => {
          assert.equal(await lead(page, houses), status);
          assert.equal(await page.locator("html").getAttribute("lang"), lang);
          for (const { width, dark } of looks) {
            const look = `${lang}-${width}-${dark ? "dark" : "light"}`;
            await test.test(look, async () => {
              await page.setViewportSize({ width, height: 800 });
              await page.emulateMedia({ colorScheme: dark ? "dark" : "light" });
              if (isPictured) await page.screenshot({ path: `${pictures}${state}-${look}.png`, fullPage: true });
              assert.ok((await overflow(page)) <= 0, `${await overflow(page)} pixels wider than the screen`);
              assert.deepEqual(await violations(page), []);
            });
          }
        }));
    }
  });
}

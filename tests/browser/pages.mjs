// The pages by the names of their fields, which are the contract; never by their words, which differ by language.

import assert from "node:assert/strict";

export const submit = 'main form button[type="submit"]';

export function field(page, name) {
  return page.locator(`main [name="${name}"]:not([type="hidden"])`);
}

// Fills the fields that are given and submits; answers with the status of what came back at the end.
export async function post(page, values) {
  for (const [name, value] of Object.entries(values)) {
    if (value === true) await field(page, name).check();
    else await field(page, name).fill(value);
  }
  return arrive(page, () => page.locator(submit).first().click());
}

// Does what makes the browser go to a page; answers with the status of the page, after redirects.
export async function arrive(page, go) {
  const answer = page.waitForResponse(
    (response) =>
      response.request().isNavigationRequest() &&
      response.frame() === page.mainFrame() &&
      (response.status() < 300 || response.status() > 399),
  );
  const [response] = await Promise.all([answer, go()]);
  await response.finished();
  await page.waitForLoadState("load");
  return response.status();
}

export function signUp(page, account, change = {}) {
  return post(page, {
    email: account.email,
    username: account.username,
    password: account.password,
    password_confirm: change.password ?? account.password,
    agree: true,
    ...change,
  });
}

export function signIn(page, login, password) {
  return post(page, { login, password });
}

// Signs in on the way to a page.
export async function enter(page, who, address) {
  await page.goto(`/.auth/login?rd=${encodeURIComponent(address)}`);
  assert.equal(await signIn(page, who.email, who.password), 200);
  assert.equal(new URL(page.url()).pathname, address);
}

// What is said to have been done.
export async function notice(page, lang) {
  const text = await page.locator('main [role="status"]').innerText();
  assertLanguage(text, lang);
  return text;
}

// The message of a field: named by the field for a screen reader, and next to it for the eye.
export async function complaint(page, name) {
  const input = field(page, name);
  assert.equal(await input.getAttribute("aria-invalid"), "true", `${name} is marked as wrong`);
  const described = await input.getAttribute("aria-describedby");
  assert.ok(described, `${name} names its description`);
  // The message is what stands below the field; a hint stands above it.
  const edge = await input.boundingBox();
  const near = [];
  for (const id of described.split(/\s+/)) {
    const text = page.locator(`[id="${id}"]`);
    const box = await text.boundingBox();
    if (box && box.y >= edge.y + edge.height - 1 && box.y - (edge.y + edge.height) < 48) {
      near.push((await text.innerText()).trim());
    }
  }
  assert.ok(near.join(""), `the message of ${name} is next to it`);
  return near.join(" ");
}

export function assertLanguage(text, lang) {
  assert.equal(/\p{Script=Hangul}/u.test(text), lang === "ko", `in ${lang}: ${text}`);
}

// Presses Tab until the element has the focus, and requires that one sees where the focus is.
export async function tabTo(page, selector) {
  for (let step = 0; step < 40; step++) {
    await page.keyboard.press("Tab");
    const here = await page.evaluate((wanted) => {
      const element = document.activeElement;
      if (!element?.matches(wanted)) return null;
      const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(element);
      return { seen: (outlineStyle !== "none" && parseFloat(outlineWidth) > 0) || boxShadow !== "none" };
    }, selector);
    if (here) {
      assert.ok(here.seen, `the focus is visible on ${selector}`);
      return;
    }
  }
  assert.fail(`${selector} cannot be reached with the Tab key`);
}

// What axe-core finds against a page.

import axe from "axe-core";

// The debugging protocol brings axe into the page, so the page's own policy stays in force.
export async function violations(page) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(" ")}`);
}

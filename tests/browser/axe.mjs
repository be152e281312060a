// What axe-core finds against a page.

import axe from "axe-core";

// The debugging protocol brings axe into the page, so the page's own policy stays in force. A page keeps it while it is
// looked at in several sizes and colours.
export async function violations(page) {
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(" ")}`);
}

// A gateway that hands its mails to a mail server, and a browser in front of it: what the tests of a file share.

import { Browser } from "./browser.mjs";
import { Gateway } from "./gateway.mjs";
import { MailServer } from "./mails.mjs";

export class Site {
  // `change` is laid over the gateway's configuration, section by section.
  static async start(change = {}) {
    const site = new Site();
    try {
      site.mails = await MailServer.start();
      site.gateway = await Gateway.start({ ...change, mail: { url: site.mails.url } });
      site.browser = await Browser.start([site.gateway.authority]);
    } catch (error) {
      await site.stop();
      throw error;
    }
    return site;
  }

  get origin() {
    return this.gateway.origin;
  }

  async stop() {
    await this.browser?.stop();
    await this.gateway?.stop();
    await this.mails?.stop();
  }
}

// Ports of this machine.

import { once } from "node:events";
import net from "node:net";
import { setTimeout as pause } from "node:timers/promises";

export async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

// Waits until somebody listens.
export async function listening(port) {
  const patience = AbortSignal.timeout(60_000);
  for (;;) {
    const socket = net.connect(port, "127.0.0.1");
    try {
      await once(socket, "connect");
      return;
    } catch (error) {
      if (patience.aborted) throw error;
      await pause(50);
    } finally {
      socket.destroy();
    }
  }
}

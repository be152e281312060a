// A server of Node's own that takes the path as the URL of WHATWG has it, decoded.
const server = require("node:http").createServer((request, response) => {
  let path;
  try {
    path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
  } catch {
    path = "/";
  }
  response.end(/^\/admin(\/|$)/.test(path) ? "ADMIN" : "OPEN");
});
server.listen(Number(process.argv[2]), "127.0.0.1");

// Tells which header fields it got. Node keeps the first thousand.
const http = require("http");
http.createServer((request, response) => response.end(JSON.stringify(request.headers))).listen(Number(process.argv[2]), "127.0.0.1");

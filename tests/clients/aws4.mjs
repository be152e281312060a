// Sends one request that npm's aws4 signed; prints the status, and the answer after it.

import https from "node:https";

import aws4 from "aws4";

const { port, method, path, service, body, presigned, ...credentials } = JSON.parse(process.argv[2]);
const signed = aws4.sign(
  {
    host: `localhost:${port}`,
    method,
    path,
    service,
    region: "us-east-1",
    ...(body && { body, headers: { "Content-Type": "application/json" } }),
    ...(presigned && { signQuery: true }),
  },
  credentials,
);

const { host: _, hostname: __, ...options } = signed;
const request = https.request({ ...options, host: "localhost", port }, async (response) => {
  let text = "";
  for await (const part of response) text += part;
  console.log(`${response.statusCode}\n${text}`);
});
request.end(body || undefined);

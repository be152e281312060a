// Express as it comes: routes whatever their case, and with one slash more at the end.
const express = require("express");
const application = express();
application.use("/admin", (request, response) => response.send("ADMIN"));
application.use((request, response) => response.send("OPEN"));
application.listen(Number(process.argv[2]), "127.0.0.1");

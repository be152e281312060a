<?php
// PHP's own server with the usual router: the path as parse_url has it, decoded.
$path = rawurldecode(parse_url($_SERVER["REQUEST_URI"], PHP_URL_PATH) ?: "/");
echo preg_match('#^/admin(/|$)#', $path) ? "ADMIN" : "OPEN";

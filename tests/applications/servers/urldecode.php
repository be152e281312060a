<?php
// PHP's own server with a router that decodes the path as forms are decoded.
$path = urldecode(strtok($_SERVER["REQUEST_URI"], "?"));
echo preg_match('#^/(admin|my files)(/|$)#', $path) ? "ADMIN" : "OPEN";

import { examine } from "./accessibility.mjs";

examine("ko");

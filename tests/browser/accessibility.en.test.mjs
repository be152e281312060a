import { examine } from "./accessibility.mjs";

examine("en");

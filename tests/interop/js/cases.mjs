// Cases for the official JavaScript client, grouped by subject.

import "./cases_exec.mjs";
import "./cases_files.mjs";
import "./cases_images.mjs";
import "./cases_life.mjs";
import "./cases_reach.mjs";
import "./cases_volumes.mjs";
import { main } from "./suite.mjs";

await main();

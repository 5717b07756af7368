// What pages do beyond links and forms. Every view also works without this file.
import { openDrawer, closeDrawer, startDrawer } from "./drawer.js";
import { startKeys } from "./keys.js";
import { startCopy } from "./copy.js";
import { startTimes } from "./times.js";

startDrawer();
startKeys({ openDrawer, closeDrawer });
startCopy();
startTimes();

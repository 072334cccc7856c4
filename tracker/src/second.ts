/** Entry of the script's second part (`s.js?part=2`): what it gives hangs on the page's global, where the first one finds it. */

import { pair } from "./pixel";
import { purchaseId } from "./purchase";

const second = { pair, purchaseId };
export type Second = typeof second;
(window as any).sinal.second = second;

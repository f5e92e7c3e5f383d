/** Random work with kills, from each queue that can be read where no server of its own is needed. */
import { testKilledRuns } from "../../conformance/killed_runs.ts";
import { dumpQueue } from "../../fakes/queued_source.ts";
import { woodpeckerQueue } from "../../fakes/woodpecker_queue.ts";

testKilledRuns("Woodpecker on object storage", () => woodpeckerQueue(), 10);
testKilledRuns("DumpMessages", dumpQueue, 3);

import { testLogSource } from "../conformance/log.ts";
import { FakeLog } from "./log.ts";

testLogSource("FakeLog", () => {
  const log = new FakeLog();
  return Promise.resolve({
    source: log,
    createTopic: async (topic) => log.createTopic(topic),
    deleteTopic: async (topic) => log.deleteTopic(topic),
    append: async (topic, values) => {
      log.append(topic, values.map(({ value, headers = {} }) => ({ value, headers: Object.entries(headers) })));
    },
    deleteRecords: async (topic, before) => log.deleteRecords(topic, before),
    close: () => log.close(),
  });
});

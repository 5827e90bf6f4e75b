import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.header.ConnectHeaders;
import org.apache.kafka.connect.header.Headers;

/** Debezium's own transforms, on change events as its connectors make them. */
final class DebeziumCases {
    private static final Recorder RECORDER = new Recorder("io.debezium.transforms.");

    static List<ObjectNode> all() {
        extractNewRecordState();
        byLogicalTableRouter();
        headerToValue();
        eventRouter();
        timezoneConverter();
        return RECORDER.cases;
    }

    private static final Schema SOURCE = SchemaBuilder.struct().name("io.debezium.connector.postgresql.Source")
        .field("version", Schema.STRING_SCHEMA).field("connector", Schema.STRING_SCHEMA).field("ts_ms", Schema.INT64_SCHEMA).field("db", Schema.STRING_SCHEMA)
        .field("table", Schema.STRING_SCHEMA).field("lsn", Schema.OPTIONAL_INT64_SCHEMA).field("list", SchemaBuilder.array(Schema.STRING_SCHEMA).name("L").optional().build()).build();
    private static final Schema TRANSACTION = SchemaBuilder.struct().optional().name("event.block").version(1)
        .field("id", Schema.STRING_SCHEMA).field("total_order", Schema.INT64_SCHEMA).field("data_collection_order", Schema.INT64_SCHEMA).build();

    private static Schema row() {
        return SchemaBuilder.struct().optional().name("server.shop.orders.Value").version(3).doc("Orders").parameter("p", "1")
            .field("id", Schema.INT64_SCHEMA).field("name", Schema.OPTIONAL_STRING_SCHEMA).field("kind", SchemaBuilder.string().optional().defaultValue("none").build())
            .field("status", SchemaBuilder.string().defaultValue("new").build()).build();
    }

    private static Struct order(long id, String name, String kind) {
        return new Struct(row()).put("id", id).put("name", name).put("kind", kind).put("status", "s");
    }

    private static Schema envelope(Schema row) {
        return SchemaBuilder.struct().name("server.shop.orders.Envelope").version(1)
            .field("before", row).field("after", row).field("source", SOURCE).field("op", Schema.STRING_SCHEMA).field("ts_ms", Schema.OPTIONAL_INT64_SCHEMA)
            .field("transaction", TRANSACTION).build();
    }

    private static Struct event(Schema row, String op, Struct before, Struct after, boolean transaction) {
        Schema schema = envelope(row);
        Struct source = new Struct(SOURCE).put("version", "3.6").put("connector", "postgresql").put("ts_ms", 1_600_000_000_000L).put("db", "shop").put("table", "orders").put("list", new ArrayList<>(List.of("a")));
        Struct event = new Struct(schema).put("before", before).put("after", after).put("source", source).put("op", op).put("ts_ms", 1_600_000_000_500L);
        if (transaction) event.put("transaction", new Struct(TRANSACTION).put("id", "tx").put("total_order", 1L).put("data_collection_order", 2L));
        return event;
    }

    private static final Schema KEY = SchemaBuilder.struct().name("server.shop.orders.Key").field("id", Schema.INT64_SCHEMA).field("name", Schema.OPTIONAL_STRING_SCHEMA).build();

    private static ConnectRecord<?> record(String topic, Schema schema, Object value, Headers headers) {
        return Recorder.source(topic, KEY, new Struct(KEY).put("id", 1L), schema, value, headers);
    }

    private static Headers drops() {
        return new ConnectHeaders().addString("h", "1").addList("drop", new ArrayList<>(List.of("name", "status", "missing")), SchemaBuilder.array(Schema.STRING_SCHEMA).build());
    }

    private static List<ConnectRecord<?>> events() {
        List<ConnectRecord<?>> records = new ArrayList<>();
        Struct one = order(1, "one", null);
        Struct two = order(1, "two", "k");
        for (Struct event : List.of(
                event(row(), "c", null, one, false), event(row(), "u", one, two, true), event(row(), "d", two, null, false), event(row(), "t", null, null, false), event(row(), "r", null, two, false),
                event(row(), "u", one, order(2, "", "k"), true), event(row(), "u", one, order(2, null, null), true))) {
            records.add(record("server.shop.orders", event.schema(), event, drops()));
        }
        records.add(record("server.shop.orders", null, null, drops()));
        records.add(record("server.shop.orders", Schema.OPTIONAL_STRING_SCHEMA, null, new ConnectHeaders()));
        records.add(record("server", Schema.STRING_SCHEMA, "heartbeat", drops()));
        records.add(Recorder.source("server", null, null, null, new HashMap<>(Map.of("a", 1))));
        records.add(Recorder.source("server", Schema.STRING_SCHEMA, "k", row(), order(5, "plain", "row")));
        return records;
    }

    private static void extractNewRecordState() {
        List<Map<String, String>> settings = new ArrayList<>(List.of(
            Map.of(), Map.of("add.fields", "op,table,source.ts_ms,ts_ms,lsn,transaction.id,total_order,missing,list"), Map.of("add.headers", "op,table,source.ts_ms:when,transaction.id,list"),
            Map.of("add.fields", "op:OP, source.db:DB", "add.fields.prefix", ""), Map.of("add.headers", "op,db", "add.headers.prefix", "x-"), Map.of("route.by.field", "name"), Map.of("route.by.field", "missing"),
            Map.of("route.by.field", "id"), Map.of("drop.fields.header.name", "drop"), Map.of("drop.fields.header.name", "drop", "drop.fields.from.key", "true"),
            Map.of("drop.fields.header.name", "drop", "drop.fields.from.key", "true", "drop.fields.keep.schema.compatible", "false"), Map.of("replace.null.with.default", "false"), Map.of("add.fields", "source"),
            Map.of("add.fields", "nowhere.x"), Map.of("add.fields", "a:b:c"), Map.of("delete.tombstone.handling.mode", "none"), Map.of("add.headers", "op,op"), Map.of("add.fields", "op,op")));
        for (String mode : List.of("drop", "tombstone", "rewrite", "rewrite-with-tombstone", "delete-to-tombstone", "REWRITE")) {
            for (Map<String, String> setting : settings) {
                Map<String, String> config = new HashMap<>(Map.of("delete.tombstone.handling.mode", mode));
                config.putAll(setting);
                // The combinations with the other modes say nothing new.
                if (mode.startsWith("d") && setting.size() > 1) continue;
                RECORDER.run("ExtractNewRecordState", config, events());
            }
        }
    }

    private static void byLogicalTableRouter() {
        for (Map<String, String> config : List.of(
                Map.of("topic.regex", "(.*)shop(.*)", "topic.replacement", "$1all$2"), Map.of("topic.regex", "(.*)shop(.*)", "topic.replacement", "$1all$2", "key.enforce.uniqueness", "false"),
                Map.of("topic.regex", ".*orders", "topic.replacement", "1 tópic-x", "schema.name.adjustment.mode", "avro"), Map.of("topic.regex", ".*orders", "topic.replacement", "1 tópic-x"),
                Map.of("topic.regex", ".*orders", "topic.replacement", ""), Map.of("topic.regex", "server.*", "topic.replacement", "all", "key.field.name", "table"),
                Map.of("topic.regex", "(.*)\\.(.*)\\.orders", "topic.replacement", "all", "key.field.regex", "(.*)\\.(.*)\\.(.*)", "key.field.replacement", "$2"),
                Map.of("topic.regex", "(.*)\\.orders", "topic.replacement", "all", "key.field.regex", "nothing", "key.field.replacement", "$0"), Map.of("topic.regex", "nothing", "topic.replacement", "all"),
                Map.of("topic.regex", "a"), Map.of("topic.replacement", "a"), Map.of("topic.regex", "(", "topic.replacement", "a"), Map.of("topic.regex", "a", "topic.replacement", "a", "key.field.regex", "b"),
                Map.of("topic.regex", "a", "topic.replacement", "a", "schema.name.adjustment.mode", "x"), Map.of("topic.regex", ".*orders", "topic.replacement", "all", "key.field.name", "id"))) {
            RECORDER.run("ByLogicalTableRouter", config, events());
        }
    }

    private static void headerToValue() {
        Schema inner = SchemaBuilder.struct().optional().name("Inner").field("x", Schema.OPTIONAL_INT32_SCHEMA).build();
        Schema schema = SchemaBuilder.struct().optional().name("Outer").field("id", Schema.INT64_SCHEMA).field("inner", inner).field("d", SchemaBuilder.int32().optional().defaultValue(9).build()).build();
        List<ConnectRecord<?>> records = new ArrayList<>();
        for (boolean full : new boolean[] {true, false}) {
            Struct value = new Struct(schema).put("id", 1L);
            if (full) value.put("inner", new Struct(inner).put("x", 5));
            Headers headers = new ConnectHeaders().addString("h1", "one").addInt("h2", 2).addBoolean("other", true).add("h3", null, Schema.OPTIONAL_STRING_SCHEMA);
            records.add(record("t", schema, value, headers));
            records.add(record("t", schema, value, new ConnectHeaders().addString("other", "x")));
        }
        records.add(record("t", null, null, new ConnectHeaders().addString("h1", "x")));
        records.add(record("t", Schema.STRING_SCHEMA, "text", new ConnectHeaders().addString("h1", "x")));
        for (Map<String, String> config : List.of(
                Map.of("headers", "h1", "fields", "f1", "operation", "copy"), Map.of("headers", "h1", "fields", "f1", "operation", "move"), Map.of("headers", "h1,h2,h3", "fields", "f1,f2,f3", "operation", "move"),
                Map.of("headers", "h1,h2", "fields", "inner.a,inner.b", "operation", "copy"), Map.of("headers", "h1,h2", "fields", "new.a,new.b", "operation", "copy"), Map.of("headers", "h1", "fields", "id.a", "operation", "copy"),
                Map.of("headers", "none", "fields", "f", "operation", "copy"), Map.of("headers", "h1,h2", "fields", "f1", "operation", "copy"), Map.of("headers", "h1", "fields", "f1", "operation", "drop"),
                Map.of("headers", "h1", "fields", "f1"), Map.of("fields", "f1", "operation", "copy"), Map.of("headers", "", "fields", "", "operation", "copy"), Map.of("headers", "h 1", "fields", "f1", "operation", "copy"))) {
            RECORDER.run("HeaderToValue", config, records);
        }
    }

    private static List<ConnectRecord<?>> outbox() {
        Schema row = SchemaBuilder.struct().optional().name("server.shop.outbox.Value")
            .field("id", SchemaBuilder.string().name("io.debezium.data.Uuid").version(1).build()).field("aggregatetype", Schema.OPTIONAL_STRING_SCHEMA).field("aggregateid", Schema.STRING_SCHEMA).field("type", Schema.STRING_SCHEMA)
            .field("payload", SchemaBuilder.string().optional().name("io.debezium.data.Json").build()).field("version", SchemaBuilder.int32().optional().build()).field("part", Schema.OPTIONAL_INT32_SCHEMA)
            .field("ms", SchemaBuilder.int64().optional().name("io.debezium.time.Timestamp").build()).field("us", SchemaBuilder.int64().name("io.debezium.time.MicroTimestamp").build())
            .field("ns", SchemaBuilder.int64().name("io.debezium.time.NanoTimestamp").build()).field("plain", Schema.INT64_SCHEMA).field("odd", SchemaBuilder.int64().name("odd").build()).build();
        List<ConnectRecord<?>> records = new ArrayList<>();
        int number = 0;
        for (String payload : new String[] {
                "{\"a\":1,\"b\":[1,2],\"c\":{\"d\":null,\"e\":\"x\"},\"f\":1.5,\"g\":5000000000,\"h\":true,\"i\":[],\"j\":[{\"k\":1},{\"k\":2,\"l\":\"m\"}]}", "text", "", " ", null, "{broken", "{\"a\":[[1],[2]],\"b\":\"\"}", "{}", "{\"a\":[\"x\",\"y\"],\"a.b\":{\"\":1}}"}) {
            Struct after = new Struct(row).put("id", "u-" + number).put("aggregatetype", "Order").put("aggregateid", "k" + number).put("type", "Created").put("payload", payload).put("version", 2)
                .put("part", number % 2 == 0 ? 7 : null).put("ms", number % 2 == 0 ? 1_500_000_000_123L : null).put("us", 1_500_000_000_123_456L).put("ns", 1_500_000_000_123_456_789L).put("plain", 5L).put("odd", 6L);
            Struct event = event(row, number == 1 ? "r" : "c", null, after, false);
            records.add(record("server.shop.outbox", event.schema(), event, new ConnectHeaders().addString("h", "1")));
            number++;
        }
        Struct after = new Struct(row).put("id", "u").put("aggregatetype", "Order").put("aggregateid", "k").put("type", "Created").put("us", 1L).put("ns", 1L).put("plain", 5L).put("odd", 6L);
        for (String op : List.of("u", "d")) {
            Struct event = event(row, op, after, op.equals("u") ? after : null, false);
            records.add(record("server.shop.outbox", event.schema(), event, new ConnectHeaders()));
        }
        records.add(record("t", null, null, new ConnectHeaders()));
        records.add(record("t", Schema.STRING_SCHEMA, "x", new ConnectHeaders()));
        return records;
    }

    private static void eventRouter() {
        String placement = "table.fields.additional.placement";
        for (Map<String, String> config : List.of(
                Map.<String, String>of(), Map.of(placement, "type:header"), Map.of(placement, "type:header:eventType,type:envelope:kind,part:partition"), Map.of(placement, "type:envelope"), Map.of(placement, "type:envelope", "table.field.event.schema.version", "version"),
                Map.of("route.tombstone.on.empty.payload", "true"), Map.of("route.tombstone.on.empty.payload", "true", placement, "type:envelope"), Map.of("table.expand.json.payload", "true"),
                Map.of("table.expand.json.payload", "true", "table.json.payload.null.behavior", "optional_bytes"), Map.of("table.field.event.timestamp", "ms"), Map.of("table.field.event.timestamp", "us"),
                Map.of("table.field.event.timestamp", "ns"), Map.of("table.field.event.timestamp", "plain"), Map.of("table.field.event.timestamp", "odd"), Map.of("table.field.event.timestamp", "missing"),
                Map.of("route.topic.replacement", "all-${routedByValue}"), Map.of("route.topic.regex", "(O)(.*)", "route.topic.replacement", "$2$1"), Map.of("route.by.field", "type"), Map.of("route.by.field", "missing"),
                Map.of("table.op.invalid.behavior", "fatal"), Map.of("table.op.invalid.behavior", "x"), Map.of("table.field.event.id", "missing"), Map.of("table.field.event.key", "part"), Map.of("table.field.event.key", "missing"),
                Map.of("table.field.event.payload", "us"), Map.of("table.field.event.payload", "missing"), Map.of(placement, "missing:envelope"), Map.of(placement, "missing:header"),
                Map.of(placement, "missing:envelope,type:header", "table.field.additional.missing", "ignore"), Map.of(placement, "type"), Map.of(placement, "a:b:c:d"), Map.of("route.topic.regex", "("))) {
            RECORDER.run("outbox.EventRouter", config, outbox());
        }
    }

    private static Schema named(Schema.Type type, String name) {
        return SchemaBuilder.type(type).optional().name(name).version(1).build();
    }

    private static void timezoneConverter() {
        Schema row = SchemaBuilder.struct().optional().name("server.shop.times.Value").field("id", Schema.INT64_SCHEMA).field("plain", Schema.OPTIONAL_INT64_SCHEMA)
            .field("ms", named(Schema.Type.INT64, "io.debezium.time.Timestamp")).field("us", named(Schema.Type.INT64, "io.debezium.time.MicroTimestamp"))
            .field("ns", named(Schema.Type.INT64, "io.debezium.time.NanoTimestamp")).field("zoned", named(Schema.Type.STRING, "io.debezium.time.ZonedTimestamp"))
            .field("date", named(Schema.Type.INT32, "io.debezium.time.Date")).field("connect", org.apache.kafka.connect.data.Timestamp.builder().optional().build()).build();
        Schema zonedTime = SchemaBuilder.struct().optional().name("server.shop.times.Value").field("time", named(Schema.Type.STRING, "io.debezium.time.ZonedTime")).build();
        List<ConnectRecord<?>> records = new ArrayList<>();
        String[] zoned = {"2024-03-10T02:30:00Z", "2024-11-03T01:30:00.123456+02:00", "1969-12-31T23:59:59.999-05:30", "2024-07-01T12:00:00.5Z"};
        // In the gap and in the overlap of Los Angeles, before 1970, and in summer.
        long[] seconds = {1_710_037_800L, 1_730_597_400L, -1L, 1_719_835_200L};
        for (int i = 0; i < 4; i++) {
            Struct after = new Struct(row).put("id", 1L).put("plain", seconds[i]).put("ms", seconds[i] * 1000 + 5).put("us", seconds[i] * 1_000_000 + 6).put("ns", seconds[i] * 1_000_000_000 + 7)
                .put("zoned", zoned[i]).put("date", 5).put("connect", Fixtures.date(seconds[i] * 1000 + 8));
            Struct event = event(row, "u", i == 0 ? after : null, after, false);
            records.add(record("server.shop.times", event.schema(), event, new ConnectHeaders()));
        }
        Struct empty = event(row, "c", null, new Struct(row).put("id", 1L), false);
        records.add(record("server.shop.times", empty.schema(), empty, new ConnectHeaders()));
        records.add(record("t", null, null, new ConnectHeaders()));
        records.add(record("t", Schema.STRING_SCHEMA, "x", new ConnectHeaders()));
        for (String zone : List.of("America/Los_Angeles", "+08:00", "-05:30", "Europe/Berlin", "UTC", "Asia/Kathmandu", "Nowhere", "+8", "PST8PDT")) {
            RECORDER.run("TimezoneConverter", Map.of("converted.timezone", zone), fresh(records));
        }
        for (String list : List.of("source:orders", "source:orders:ms", "topic:server.shop.times:us", "topic:other", "orders:connect", "server.shop.times:zoned", "source:orders:after.ms", "source:orders:before.ms", "orders:ms,times:us",
                "source:orders:source.ts_ms", "source:other,orders:ms", "orders", "a:b:c:d", "topic:other,server.shop.times:us", "x:-")) {
            for (String key : List.of("include.list", "exclude.list")) {
                RECORDER.run("TimezoneConverter", Map.of("converted.timezone", "Europe/Berlin", key, list), fresh(records));
            }
        }
        RECORDER.run("TimezoneConverter", Map.of("converted.timezone", "UTC", "include.list", "a:b", "exclude.list", "a:b"), fresh(records));
        RECORDER.run("TimezoneConverter", Map.of(), fresh(records));
        for (String time : List.of("12:34:56+01:00", "00:00:00Z", "23:59:59.5-02:00")) {
            Struct event = event(zonedTime, "c", null, new Struct(zonedTime).put("time", time), false);
            RECORDER.run("TimezoneConverter", Map.of("converted.timezone", "+05:45"), record("t", event.schema(), event, new ConnectHeaders()));
        }
    }

    /** Copies, because the converter changes the record that it is given. */
    private static List<ConnectRecord<?>> fresh(List<ConnectRecord<?>> records) {
        List<ConnectRecord<?>> copies = new ArrayList<>();
        for (ConnectRecord<?> record : records) {
            copies.add(record.newRecord(record.topic(), record.kafkaPartition(), record.keySchema(), record.key(), record.valueSchema(), copy(record.value()), record.timestamp()));
        }
        return copies;
    }

    private static Object copy(Object value) {
        if (!(value instanceof Struct struct)) return value;
        Struct copy = new Struct(struct.schema());
        for (org.apache.kafka.connect.data.Field field : struct.schema().fields()) copy.put(field, copy(struct.getWithoutDefault(field.name())));
        return copy;
    }
}

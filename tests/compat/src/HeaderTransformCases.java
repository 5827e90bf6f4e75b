import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.header.ConnectHeaders;

/** The transforms of headers, and Filter. */
final class HeaderTransformCases {
    private static final Recorder RECORDER = new Recorder("org.apache.kafka.connect.transforms.");

    static List<ObjectNode> all() {
        for (Map<String, String> config : List.of(
                Map.<String, String>of(), Map.of("headers", ""), Map.of("headers", "h"), Map.of("headers", "x,h,y"), Map.of("headers", "h,h"), Map.of("headers", "other"), Map.of("headers", "h,"))) {
            RECORDER.run("DropHeaders", config, records());
        }
        for (String literal : List.of("", "text", "1", "300", "1.5", "true", "null", "[1,2]", "{\"a\":1}", "2020-01-01", "1e400", " padded ", "[1,x]", "\"q\"")) {
            RECORDER.run("InsertHeader", Map.of("header", "new", "value.literal", literal), records());
        }
        for (Map<String, String> config : List.of(Map.<String, String>of(), Map.of("header", "h"), Map.of("value.literal", "1"), Map.of("header", "", "value.literal", "1"), Map.of("header", "h", "value.literal", "again"))) {
            RECORDER.run("InsertHeader", config, records());
        }
        for (Map<String, String> config : List.of(
                Map.<String, String>of(), Map.of("fields", "id", "headers", "a", "operation", "move"), Map.of("fields", "id", "headers", "a", "operation", "copy"),
                Map.of("fields", "id,name", "headers", "a,h", "operation", "move"), Map.of("fields", "name,id,kind,id", "headers", "a,b,c,d", "operation", "copy"),
                Map.of("fields", "id", "headers", "a,b", "operation", "move"), Map.of("fields", "", "headers", "", "operation", "move"), Map.of("fields", "id", "headers", "a", "operation", "drop"),
                Map.of("fields", "kind,required", "headers", "k,r", "operation", "move", "replace.null.with.default", "false"), Map.of("fields", "kind", "headers", "k", "operation", "move"),
                Map.of("fields", "kind", "headers", "k", "operation", "copy", "replace.null.with.default", "false"), Map.of("fields", "missing", "headers", "m", "operation", "copy"),
                Map.of("fields", "missing", "headers", "m", "operation", "move"), Map.of("fields", "id,id", "headers", "a,b", "operation", "move"))) {
            RECORDER.run("HeaderFrom$Value", config, records());
            RECORDER.run("HeaderFrom$Key", config, records());
        }
        RECORDER.run("Filter", Map.of(), records());
        generated();
        return RECORDER.cases;
    }

    private static List<ConnectRecord<?>> records() {
        Schema row = SchemaBuilder.struct().optional().name("Row").version(2).doc("A row").field("id", Schema.INT64_SCHEMA).field("name", Schema.OPTIONAL_STRING_SCHEMA)
            .field("kind", SchemaBuilder.string().optional().defaultValue("none").build()).field("required", SchemaBuilder.int32().defaultValue(5).build()).build();
        Struct full = new Struct(row).put("id", 1L).put("name", "n").put("kind", "k").put("required", 6);
        Struct part = new Struct(row).put("id", 1L);
        Map<String, Object> map = new HashMap<>();
        for (int i = 0; i < 14; i++) map.put("field-" + i, i);
        map.put("id", "map");
        map.put("kind", null);
        ConnectHeaders headers = new ConnectHeaders();
        headers.addString("h", "1").addInt("x", 2).addString("h", "3").add("y", null, null).addList("list", List.of("a"), SchemaBuilder.array(Schema.STRING_SCHEMA).build());
        return List.of(
            Recorder.source("t", row, full, row, part, headers), Recorder.source("t", row, part, row, full, new ConnectHeaders()), Recorder.sink("t", null, map, null, map),
            Recorder.source("t", null, null, null, null), Recorder.sink("t", row, null, row, null), Recorder.sink("t", null, "k", Schema.STRING_SCHEMA, "v"));
    }

    private static void generated() {
        Random random = new Random(78);
        for (int i = 0; i < 30 * Fixtures.times; i++) {
            Schema schema;
            do schema = random.schema(2); while (schema.type() != Schema.Type.STRUCT || schema.fields().isEmpty());
            Struct value = (Struct) random.value(schema, true);
            if (value == null) continue;
            String name = schema.fields().get(random.below(schema.fields().size())).name();
            if (name.isEmpty() || name.contains(",") || !name.equals(name.trim())) continue;
            RECORDER.run("HeaderFrom$Value", Map.of("fields", name, "headers", "new", "operation", random.chance(50) ? "move" : "copy", "replace.null.with.default", random.chance(50) ? "true" : "false"),
                Recorder.source("t", null, null, schema, value));
        }
    }
}

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.apache.kafka.connect.data.Decimal;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.json.JsonConverter;

/** JsonConverter in both directions. */
final class JsonCases {
    private static final List<Map<String, String>> CONFIGS = List.of(
        Map.of(),
        Map.of("schemas.enable", "false"),
        Map.of("decimal.format", "numeric"),
        Map.of("replace.null.with.default", "false"),
        Map.of("schemas.enable", "false", "decimal.format", "NUMERIC", "replace.null.with.default", "false"));

    private static JsonConverter converter(Map<String, String> config) {
        JsonConverter converter = new JsonConverter();
        converter.configure(config, false);
        return converter;
    }

    private static ObjectNode fromCase(Map<String, String> config, Schema schema, Object value) {
        ObjectNode node = Fixtures.JSON.objectNode();
        node.set("config", Fixtures.config(config));
        node.set("data", Fixtures.data(schema, value));
        return Fixtures.attempt(node, result -> {
            byte[] bytes = converter(config).fromConnectData("topic", schema, value);
            result.put("json", bytes == null ? null : new String(bytes, StandardCharsets.UTF_8));
        });
    }

    static List<ObjectNode> from() {
        List<ObjectNode> cases = new ArrayList<>();
        Random random = new Random(1);
        for (int i = 0; i < 250 * Fixtures.times; i++) {
            Schema schema = random.schema(3);
            cases.add(fromCase(CONFIGS.get(i % CONFIGS.size()), schema, random.value(schema, true)));
        }
        for (int i = 0; i < 80 * Fixtures.times; i++) {
            cases.add(fromCase(CONFIGS.get(i % 2), null, random.schemaless(3)));
        }
        Map<String, String> plain = CONFIGS.get(1);
        for (Object value : new Object[] {
            0.0, -0.0, 1.0, 1e7, 9999999.0, 12345678.9, 1e-3, 9.99e-4, 1e21, 1e100, 4.9e-324, Double.MAX_VALUE, Double.NaN,
            Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY, 100.0, 123456.789, 1.0E10, 0.1f, 1e10f, 3.4028235E38f, 1.4e-45f, 16777216f,
            Float.NaN, 33554432.5f, Long.MIN_VALUE, Long.MAX_VALUE, Integer.MIN_VALUE, (byte) -128, (short) -32768, "", true,
            new byte[] {}, new byte[] {1}, new byte[] {1, 2}, new byte[] {1, 2, 3}, List.of(), Map.of(),
            Map.of(1, "int key"), Map.of(true, 1L), Collections.singletonMap("null", null), Collections.singletonList(null)
        }) {
            cases.add(fromCase(plain, null, value));
            cases.add(fromCase(CONFIGS.get(0), null, value));
        }
        // Errors: a value of the wrong class, null where there must be one, a scale that does not fit, what has no schema.
        for (Schema schema : List.of(Schema.INT8_SCHEMA, Schema.STRING_SCHEMA, Schema.BYTES_SCHEMA, Schema.BOOLEAN_SCHEMA,
                Schema.FLOAT64_SCHEMA, Fixtures.DATE, Fixtures.TIME, Fixtures.TIMESTAMP, Fixtures.decimal(2),
                SchemaBuilder.array(Schema.INT32_SCHEMA).build(), SchemaBuilder.map(Schema.STRING_SCHEMA, Schema.INT32_SCHEMA).build(),
                SchemaBuilder.struct().field("a", Schema.INT32_SCHEMA).build())) {
            cases.add(fromCase(plain, schema, null));
            cases.add(fromCase(plain, schema, 7));
            if (schema.type() != Schema.Type.BYTES && schema.type() != Schema.Type.STRING) cases.add(fromCase(plain, schema, "x"));
        }
        cases.add(fromCase(plain, Fixtures.decimal(2), new BigDecimal("1.234")));
        cases.add(fromCase(plain, SchemaBuilder.bytes().name(Decimal.LOGICAL_NAME).parameter("scale", "x").build(), new BigDecimal("1")));
        cases.add(fromCase(CONFIGS.get(0), null, null));
        cases.add(fromCase(CONFIGS.get(0), Schema.OPTIONAL_STRING_SCHEMA, null));
        cases.add(fromCase(plain, Schema.OPTIONAL_STRING_SCHEMA, null));
        Schema defaulted = SchemaBuilder.struct()
            .field("d", SchemaBuilder.string().optional().defaultValue("default").build())
            .field("n", SchemaBuilder.int32().defaultValue(42).build())
            .build();
        for (Map<String, String> config : CONFIGS) cases.add(fromCase(config, defaulted, new Struct(defaulted)));
        for (String number : List.of("0", "1", "-1", "1.5", "0.000001", "0.0000001", "1E+3", "12345678901234567890.123", "-1E-10", "0.00", "0E-10", "1E+400", "100")) {
            BigDecimal decimal = new BigDecimal(number);
            cases.add(fromCase(CONFIGS.get(2), Fixtures.decimal(decimal.scale()), decimal));
            cases.add(fromCase(plain, Fixtures.decimal(decimal.scale()), decimal));
        }
        return cases;
    }

    private static ObjectNode toCase(Map<String, String> config, byte[] bytes) {
        ObjectNode node = Fixtures.JSON.objectNode();
        node.set("config", Fixtures.config(config));
        node.put("bytes", bytes == null ? null : Base64.getEncoder().encodeToString(bytes));
        return Fixtures.attempt(node, result -> {
            SchemaAndValue data = converter(config).toConnectData("topic", bytes);
            result.set("data", Fixtures.data(data.schema(), data.value()));
        });
    }

    static List<ObjectNode> to() {
        List<ObjectNode> cases = new ArrayList<>();
        Random random = new Random(2);
        for (int i = 0; i < 200 * Fixtures.times; i++) {
            Map<String, String> config = CONFIGS.get(i % CONFIGS.size());
            Schema schema = random.schema(3);
            cases.add(toCase(config, converter(config).fromConnectData("topic", schema, random.value(schema, true))));
        }
        Map<String, String> plain = CONFIGS.get(1);
        for (int i = 0; i < 60 * Fixtures.times; i++) {
            cases.add(toCase(plain, converter(plain).fromConnectData("topic", null, random.schemaless(3))));
        }
        for (int i = 0; i < 60 * Fixtures.times; i++) {
            cases.add(toCase(plain, random.damaged(converter(plain).fromConnectData("topic", null, random.schemaless(2)))));
            Schema schema = random.schema(2);
            Map<String, String> config = CONFIGS.get(i % CONFIGS.size());
            cases.add(toCase(config, random.damaged(converter(config).fromConnectData("topic", schema, random.value(schema, true)))));
        }
        for (String text : List.of(
            "", "  ", "null", " true ", "false", "1", "-1", "007", "-007", "1.5", "1e3", "1E-3", "-0", "-0.0", "9223372036854775807",
            "9223372036854775808", "-9223372036854775809", "123456789012345678901234567890", "1e400", "\"\"", "\"x\"", "\"\\u00e4\\n\\\"\\\\\\/\\b\\f\\t\\r\"",
            "\"\\ud83d\\ude00\"", "[]", "{}", "[1,2.5,\"x\",null,true,[],{}]", "{\"a\":1,\"b\":{\"c\":[1]}}", "{\"a\":1,\"a\":2,\"b\":3}",
            "{\"b\":1,\"a\":2,\"b\":3}", "{\"a\":1} trailing", "1 2", "1x", "truex", "true]", "nul", "[1,]", "{\"a\":1,}", "{a:1}", "'x'", "[1 2]",
            "{\"a\" 1}", "{\"a\":}", "\"open", "[", "{", "{\"a\":1", "+1", ".5", "1.", "1e", "-", "\"\u0001\"", "\"\\x\"", "\"\\u12\"", "NaN", "// c\n1",
            "\t\n\r 1", "\"tab\tin\"", "{\"\":0}", "{\"long name with spaces\":\"ümläut 日本 😀\"}",
            "{\"schema\":null,\"payload\":1}", "{\"payload\":{\"x\":1}}", "{\"schema\":{\"type\":\"int32\",\"optional\":false},\"payload\":7}")) {
            cases.add(toCase(plain, text.getBytes(StandardCharsets.UTF_8)));
        }
        cases.add(toCase(plain, null));
        cases.add(toCase(plain, new byte[] {'"', (byte) 0xff, '"'}));
        cases.add(toCase(plain, "\ufeff1".getBytes(StandardCharsets.UTF_8)));
        cases.add(toCase(plain, ("[".repeat(30) + "]".repeat(30)).getBytes(StandardCharsets.UTF_8)));
        cases.add(toCase(plain, ("[".repeat(1001) + "]".repeat(1001)).getBytes(StandardCharsets.UTF_8)));
        cases.add(toCase(plain, "1".repeat(1001).getBytes(StandardCharsets.UTF_8)));
        StringBuilder wide = new StringBuilder("{");
        for (int i = 0; i < 200; i++) wide.append(i > 0 ? "," : "").append("\"key-").append(i * 7919 % 1000).append("\":").append(i);
        cases.add(toCase(plain, wide.append("}").toString().getBytes(StandardCharsets.UTF_8)));

        List<String> schemas = List.of(
            "{\"type\":\"int8\"}", "{\"type\":\"int16\"}", "{\"type\":\"int32\"}", "{\"type\":\"int64\"}", "{\"type\":\"float\"}", "{\"type\":\"double\"}",
            "{\"type\":\"boolean\"}", "{\"type\":\"string\"}", "{\"type\":\"bytes\"}",
            "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}", "{\"type\":\"map\",\"keys\":{\"type\":\"string\"},\"values\":{\"type\":\"int32\"}}",
            "{\"type\":\"map\",\"keys\":{\"type\":\"int32\"},\"values\":{\"type\":\"string\"}}",
            "{\"type\":\"struct\",\"fields\":[{\"field\":\"a\",\"type\":\"string\"},{\"field\":\"b\",\"type\":\"int32\",\"optional\":true}]}",
            "{\"type\":\"int32\",\"name\":\"org.apache.kafka.connect.data.Date\"}", "{\"type\":\"int32\",\"name\":\"org.apache.kafka.connect.data.Time\"}",
            "{\"type\":\"int64\",\"name\":\"org.apache.kafka.connect.data.Timestamp\"}",
            "{\"type\":\"bytes\",\"name\":\"org.apache.kafka.connect.data.Decimal\",\"parameters\":{\"scale\":\"2\"}}");
        List<String> payloads = List.of("null", "true", "1", "300", "-1", "2147483648", "18446744073709551617", "1.75", "1e2", "\"x\"", "\"eA==\"", "\"eA\"", "\"e A\"",
            "[]", "[\"a\",\"b\"]", "[1,null]", "[[1,\"x\"],[2,\"y\"],[1,\"z\"]]", "[[1]]", "{}", "{\"a\":\"x\"}", "{\"b\":1,\"a\":\"x\",\"c\":0}", "{\"a\":1}", "{\"a\":\"x\",\"b\":null}");
        for (String schema : schemas) {
            for (String payload : payloads) {
                String text = "{\"schema\":" + schema + ",\"payload\":" + payload + "}";
                cases.add(toCase(Map.of(), text.getBytes(StandardCharsets.UTF_8)));
            }
        }
        for (String text : List.of(
            "", "1", "{}", "[]", "{\"schema\":null}", "{\"payload\":1}", "{\"schema\":null,\"payload\":1,\"x\":2}", "{\"payload\":1,\"schema\":null}",
            "{\"schema\":null,\"payload\":null}", "{\"schema\":{},\"payload\":1}", "{\"schema\":{\"type\":7},\"payload\":1}", "{\"schema\":{\"type\":\"x\"},\"payload\":1}",
            "{\"schema\":\"string\",\"payload\":1}", "{\"schema\":null,\"schema\":null,\"payload\":1}", "{\"schema\":{\"type\":\"array\"},\"payload\":[]}",
            "{\"schema\":{\"type\":\"array\",\"items\":null},\"payload\":[]}", "{\"schema\":{\"type\":\"map\"},\"payload\":{}}",
            "{\"schema\":{\"type\":\"map\",\"keys\":{\"type\":\"string\"}},\"payload\":{}}", "{\"schema\":{\"type\":\"struct\"},\"payload\":{}}",
            "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"string\"}]},\"payload\":{}}",
            "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"field\":\"a\",\"type\":\"string\"},{\"field\":\"a\",\"type\":\"string\"}]},\"payload\":{}}",
            "{\"schema\":{\"type\":\"string\",\"optional\":true,\"name\":\"n\",\"version\":3,\"doc\":\"d\",\"parameters\":{\"a\":\"1\",\"b\":\"2\"},\"default\":\"x\"},\"payload\":null}",
            "{\"schema\":{\"type\":\"string\",\"parameters\":{\"a\":1}},\"payload\":\"x\"}", "{\"schema\":{\"type\":\"string\",\"default\":null},\"payload\":\"x\"}",
            "{\"schema\":{\"type\":\"string\",\"optional\":true,\"default\":null},\"payload\":null}", "{\"schema\":{\"type\":\"int32\",\"default\":5},\"payload\":null}",
            "{\"schema\":{\"type\":\"struct\",\"optional\":true,\"fields\":[{\"field\":\"a\",\"type\":\"int32\",\"default\":5}]},\"payload\":{}}",
            "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"field\":\"a\",\"type\":\"array\",\"items\":{\"type\":\"string\"}}]},\"payload\":{\"a\":[\"x\",1]}}",
            "{\"schema\":{\"type\":\"bytes\",\"name\":\"org.apache.kafka.connect.data.Decimal\"},\"payload\":\"AQ==\"}",
            "{\"schema\":{\"type\":\"bytes\",\"name\":\"org.apache.kafka.connect.data.Decimal\",\"parameters\":{\"scale\":\"2\"}},\"payload\":\"\"}",
            "{\"schema\":{\"type\":\"bytes\",\"name\":\"org.apache.kafka.connect.data.Decimal\",\"parameters\":{\"scale\":\"2\"}},\"payload\":true}",
            "{\"schema\":{\"type\":\"int32\",\"name\":\"org.apache.kafka.connect.data.Time\"},\"payload\":86400001}",
            "{\"schema\":{\"type\":\"int32\",\"name\":\"org.apache.kafka.connect.data.Date\"},\"payload\":1.0}")) {
            cases.add(toCase(Map.of(), text.getBytes(StandardCharsets.UTF_8)));
            cases.add(toCase(Map.of("replace.null.with.default", "false"), text.getBytes(StandardCharsets.UTF_8)));
        }
        Map<String, String> fixed = Map.of("schema.content", "{\"type\":\"struct\",\"fields\":[{\"field\":\"a\",\"type\":\"int32\"}]}");
        for (String text : List.of("{\"a\":1}", "{}", "7", "null", "{\"schema\":null,\"payload\":1}")) {
            cases.add(toCase(fixed, text.getBytes(StandardCharsets.UTF_8)));
        }
        return cases;
    }
}

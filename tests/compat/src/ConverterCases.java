import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.storage.Converter;
import org.apache.kafka.connect.storage.SimpleHeaderConverter;

/** The simple converters, and SimpleHeaderConverter. */
final class ConverterCases {
    private static final String[] CLASSES = {
        "storage.StringConverter", "converters.ByteArrayConverter", "converters.BooleanConverter", "converters.ShortConverter",
        "converters.IntegerConverter", "converters.LongConverter", "converters.FloatConverter", "converters.DoubleConverter"
    };

    static List<ObjectNode> all() throws Exception {
        List<ObjectNode> cases = new ArrayList<>();
        Schema struct = SchemaBuilder.struct().field("a", Schema.INT32_SCHEMA).field("b", Schema.OPTIONAL_STRING_SCHEMA)
            .field("c", SchemaBuilder.array(Schema.FLOAT64_SCHEMA).optional().build()).build();
        Object[][] values = {
            {null, null}, {Schema.OPTIONAL_STRING_SCHEMA, null}, {Schema.STRING_SCHEMA, "text ü 😀"}, {null, "plain"}, {null, true},
            {Schema.BOOLEAN_SCHEMA, false}, {null, (byte) 1}, {null, (short) -2}, {Schema.INT32_SCHEMA, 3}, {null, 4L}, {null, 1.5f}, {null, 2.25},
            {null, new ArrayList<>(List.of(1, "x", true))}, {null, new HashMap<>(Map.of("k", 1L))}, {struct, new Struct(struct).put("a", 1)},
            {struct, new Struct(struct).put("a", 1).put("b", "x").put("c", List.of(1.0, 1e10))}, {null, new BigDecimal("12.50")},
            {Fixtures.TIMESTAMP, Fixtures.date(1_700_000_000_123L)}, {Fixtures.DATE, Fixtures.date(86_400_000L * 366)}, {Fixtures.TIME, Fixtures.date(3_723_004)},
            {null, 1e-5}, {null, 123456789.0}
        };
        byte[][] bytes = {
            null, {}, {0}, {1}, {2}, {0, 1}, {0, 0, 1, 0}, {(byte) 0xff, 0, 0, 0, 0, 0, 0, 1}, {0x40, 0x09, 0x21, (byte) 0xfb, 0x54, 0x44, 0x2d, 0x18},
            "ümlaut 😀".getBytes(StandardCharsets.UTF_8), {'a', (byte) 0xff, 'b'}, {(byte) 0xc3}, {(byte) 0xe2, (byte) 0x82}, {(byte) 0xe2, (byte) 0x82, 'x'},
            {(byte) 0xf0, (byte) 0x9f, (byte) 0x98, 'x'}, {(byte) 0xed, (byte) 0xa0, (byte) 0x80}, {(byte) 0xc0, (byte) 0x80}, {(byte) 0xf5, (byte) 0x80}
        };
        for (String name : CLASSES) {
            for (Object[] value : values) {
                cases.add(from(name, Map.of(), (Schema) value[0], value[1]));
            }
            if (name.equals("converters.ByteArrayConverter")) cases.add(from(name, Map.of(), Schema.BYTES_SCHEMA, new byte[] {1, 2}));
            for (byte[] value : bytes) cases.add(to(name, Map.of(), value));
        }
        for (String encoding : List.of("ISO-8859-1", "US-ASCII", "UTF-16", "UTF-16BE", "UTF-16LE", "utf8", "latin1")) {
            Map<String, String> config = Map.of("converter.encoding", encoding);
            cases.add(from(CLASSES[0], config, null, "aü😀"));
            for (byte[] value : bytes) cases.add(to(CLASSES[0], config, value));
        }
        return cases;
    }

    private static Converter converter(String name, Map<String, String> config) throws Exception {
        Converter converter = (Converter) Class.forName("org.apache.kafka.connect." + name).getDeclaredConstructor().newInstance();
        converter.configure(config, false);
        return converter;
    }

    private static ObjectNode base(String name, Map<String, String> config) {
        ObjectNode node = Fixtures.JSON.objectNode();
        node.put("converter", "org.apache.kafka.connect." + name);
        node.set("config", Fixtures.config(config));
        return node;
    }

    private static ObjectNode from(String name, Map<String, String> config, Schema schema, Object value) {
        ObjectNode node = base(name, config).put("direction", "from");
        node.set("data", Fixtures.data(schema, value));
        return Fixtures.attempt(node, result -> {
            byte[] bytes = converter(name, config).fromConnectData("t", schema, value);
            result.put("bytes", bytes == null ? null : Base64.getEncoder().encodeToString(bytes));
        });
    }

    private static ObjectNode to(String name, Map<String, String> config, byte[] bytes) {
        ObjectNode node = base(name, config).put("direction", "to");
        node.put("bytes", bytes == null ? null : Base64.getEncoder().encodeToString(bytes));
        return Fixtures.attempt(node, result -> {
            SchemaAndValue data = converter(name, config).toConnectData("t", bytes);
            result.set("data", Fixtures.data(data.schema(), data.value()));
        });
    }

    static List<ObjectNode> headers() {
        List<ObjectNode> cases = new ArrayList<>();
        SimpleHeaderConverter converter = new SimpleHeaderConverter();
        List<String> texts = new ArrayList<>(List.of(
            "", " ", "null", "true", "false", " true ", "TRUE", "true}", "x", "1", "-1", "+1", "127", "128", "32768", "2147483648", "9223372036854775807",
            "9223372036854775808", "-9223372036854775809", "1.0", "1.5", "-1.5", "1e2", "1E400", "1e-400", "0.1", "1.0e39", "3.4028236e38", "12345678901234567890.5", "1_000",
            "0x10", "1 2", "12abc", "-", "+", "1.", ".5", "2020-01-01", "2020-13-01", "2020-02-30", "2020-01-01x", "12:34:56.789Z", "25:00:00.000Z", "12\\:34\\:56.789Z",
            "2020-01-01T12:34:56.789Z", "2020-01-01T12\\:34\\:56.789Z", "\"2020-01-01\"", "\"quoted\"", "[]", "[1]", "[1,2,3]", "[1, 2, 300]", "[1,2.5]", "[1,\"x\"]", "[\"a\",\"b\"]",
            "[null]", "[null,1]", "[1,]", "[,1]", "[1", "[1 2]", "[true,false]", "[[1],[2]]", "[\"2020-01-01\",\"2020-01-02\"]", "{}", "{\"a\":1}", "{\"a\":1,\"b\":2}", "{\"a\":1,\"b\":2.5}",
            "{\"a\":\"x\"}", "{\"a\":null}", "{\"a\":1,\"b\":null}", "{a:1}", "{\"a\"}", "{\"a\":1", "{1:2}", "{1:2,300:4}", "{\"a\":{\"b\":1}}", "{\"a\":[1,2]}", "{,}", "{\"a\":1,}", "{\"a\" : 1 , \"b\" : 2}",
            "a:b", "a,b", "a\"b", "\\", "\\\\", "\\[1]", "text with spaces", " leading", "trailing ", "ümlaut", "日本", "😀", "[\"esc\\\"aped\"]", "\n", "\t1", "1\n",
            "{\"k\":\"2020-01-01T12:34:56.789Z\"}", "[12:34:56.789Z]", "[1,true]", "[1,2,3]x", "x[1]", "{\"a\":1}x", "[\"a\" \"b\"]", "[-1]", "[1e2,3]", "[\"\"]", "2020-1-1", "0000000010",
            "[9223372036854775808]", "true,false", "nullnull", "[null,null]", "[,]"));
        Random random = new Random(3);
        String characters = "[]{},:\"\\ 0123456789.-+eTZtrufalsn\u00e4";
        for (int i = 0; i < 100 * Fixtures.times; i++) {
            StringBuilder text = new StringBuilder();
            int length = 1 + random.below(12);
            for (int j = 0; j < length; j++) text.append(characters.charAt(random.below(characters.length())));
            texts.add(text.toString());
        }
        for (String text : texts) {
            ObjectNode node = Fixtures.JSON.objectNode().put("direction", "to");
            node.put("bytes", Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8)));
            node.put("text", text);
            cases.add(Fixtures.attempt(node, result -> {
                // The text null gives no SchemaAndValue at all, which Connect takes for null.
                SchemaAndValue data = converter.toConnectHeader("t", "h", text.getBytes(StandardCharsets.UTF_8));
                result.set("data", data == null ? Fixtures.data(null, null) : Fixtures.data(data.schema(), data.value()));
            }));
        }
        for (int i = 0; i < 60 * Fixtures.times; i++) {
            Schema schema = random.schema(2);
            cases.add(from(converter, schema, random.value(schema, true)));
        }
        for (long millis : new long[] {0, 1, 86_399_999L, 86_400_000L, 86_400_001L, -1, -86_400_000L, 1_700_000_000_123L}) {
            cases.add(from(converter, Fixtures.TIMESTAMP, Fixtures.date(millis)));
        }
        for (Object value : Arrays.asList(null, "x", "a\"b\\c", 1.0, 1e10, List.of("a\"b\\c"), Map.of("k", "v"), new byte[] {1, 2}, List.of((Object) new byte[] {1}))) {
            cases.add(from(converter, null, value));
        }
        return cases;
    }

    private static ObjectNode from(SimpleHeaderConverter converter, Schema schema, Object value) {
        ObjectNode node = Fixtures.JSON.objectNode().put("direction", "from");
        node.set("data", Fixtures.data(schema, value));
        return Fixtures.attempt(node, result -> {
            byte[] bytes = converter.fromConnectHeader("t", "h", schema, value);
            result.put("bytes", bytes == null ? null : Base64.getEncoder().encodeToString(bytes));
        });
    }
}

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.apicurio.registry.utils.converter.avro.AvroData;
import io.apicurio.registry.utils.converter.avro.AvroDataConfig;
import java.io.ByteArrayOutputStream;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.connect.data.Date;
import org.apache.kafka.connect.data.Decimal;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.data.Time;
import org.apache.kafka.connect.data.Timestamp;

/** Connect's data as Avro and back: AvroData of Apicurio Registry, a copy of an older one of Confluent's, and Avro's own encoding. */
final class AvroCases {
    private static final List<Map<String, String>> CONFIGS = List.of(
        Map.of(), Map.of("enhanced.avro.schema.support", "true"), Map.of("connect.meta.data", "false"),
        Map.of("enhanced.avro.schema.support", "true", "connect.meta.data", "false"));

    private static AvroData avroData(Map<String, String> config) {
        return new AvroData(new AvroDataConfig(config));
    }

    static List<ObjectNode> from() {
        List<ObjectNode> cases = new ArrayList<>();
        for (Map<String, String> config : CONFIGS) {
            for (Object[] pair : picked()) cases.add(from(config, (Schema) pair[0], pair[1]));
        }
        Random random = new Random(31);
        for (int i = 0; i < 300 * Fixtures.times; i++) {
            Schema schema = schema(random, 3);
            cases.add(from(CONFIGS.get(random.below(4)), schema, value(random, schema)));
        }
        return cases;
    }

    static List<ObjectNode> to() throws Exception {
        List<ObjectNode> cases = new ArrayList<>();
        Random random = new Random(32);
        for (Map<String, String> config : CONFIGS) {
            for (String text : SCHEMAS) {
                org.apache.avro.Schema schema = new org.apache.avro.Schema.Parser().parse(text);
                for (int i = 0; i < 3; i++) {
                    Object datum = datum(random, schema);
                    // For null AvroData gives no answer at all.
                    if (datum != null) cases.add(to(config, text, schema, encode(schema, datum), i == 0 ? null : i));
                }
            }
        }
        for (int i = 0; i < 200 * Fixtures.times; i++) {
            Schema schema = schema(random, 3);
            Object value = value(random, schema);
            AvroData data = avroData(Map.of());
            org.apache.avro.Schema avro = data.fromConnectSchema(schema);
            if (value == null || avro.getType() == org.apache.avro.Schema.Type.NULL) continue;
            byte[] bytes;
            try {
                bytes = encode(avro, plain(data.fromConnectData(schema, value)));
            } catch (RuntimeException notWritten) {
                continue;
            }
            String text = avro.toString();
            cases.add(to(CONFIGS.get(random.below(4)), text, new org.apache.avro.Schema.Parser().setValidateDefaults(false).parse(text), bytes, null));
        }
        return cases;
    }

    private static ObjectNode from(Map<String, String> config, Schema schema, Object value) {
        ObjectNode node = Fixtures.JSON.objectNode();
        node.set("config", Fixtures.config(config));
        node.set("data", Fixtures.data(schema, value));
        return Fixtures.attempt(node, result -> {
            AvroData data = avroData(config);
            org.apache.avro.Schema avro = data.fromConnectSchema(schema);
            Object converted = plain(data.fromConnectData(schema, value));
            String bytes = converted == null ? null : Base64.getEncoder().encodeToString(encode(avro, converted));
            result.put("avro", avro.toString()).put("bytes", bytes);
        });
    }

    private static ObjectNode to(Map<String, String> config, String text, org.apache.avro.Schema schema, byte[] bytes, Integer version) {
        ObjectNode node = Fixtures.JSON.objectNode();
        node.set("config", Fixtures.config(config));
        node.put("avro", text).put("bytes", Base64.getEncoder().encodeToString(bytes)).put("version", version);
        return Fixtures.attempt(node, result -> {
            Object datum = new GenericDatumReader<>(schema).read(null, DecoderFactory.get().binaryDecoder(bytes, null));
            SchemaAndValue data = avroData(config).toConnectData(schema, datum, version);
            result.set("data", Fixtures.data(data.schema(), data.value()));
        });
    }

    /** The serializer takes values that are no records out of their container. */
    private static Object plain(Object value) {
        return value instanceof io.apicurio.registry.serde.avro.NonRecordContainer container ? container.getValue() : value;
    }

    private static byte[] encode(org.apache.avro.Schema schema, Object value) throws java.io.IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        BinaryEncoder encoder = EncoderFactory.get().directBinaryEncoder(out, null);
        new GenericDatumWriter<>(schema).write(value, encoder);
        encoder.flush();
        return out.toByteArray();
    }

    static Object[][] picked() {
        Schema row = SchemaBuilder.struct().name("dev.example.Row").version(3).doc("A row.").parameter("p", "q")
            .field("id", Schema.INT64_SCHEMA).field("name", Schema.OPTIONAL_STRING_SCHEMA)
            .field("small", SchemaBuilder.int8().defaultValue((byte) 3).build())
            .field("price", Decimal.builder(2).optional().build())
            .field("precise", Decimal.builder(2).parameter("connect.decimal.precision", "10").build())
            .field("day", Date.SCHEMA).field("at", Timestamp.builder().optional().build()).field("time", Time.SCHEMA).build();
        Struct full = new Struct(row).put("id", 1L).put("name", "ü").put("small", (byte) -1).put("price", new BigDecimal("12.50"))
            .put("precise", new BigDecimal("-1.00")).put("day", Fixtures.date(86_400_000L * 19_000)).put("at", Fixtures.date(1_700_000_000_123L))
            .put("time", Fixtures.date(3_723_004));
        Struct few = new Struct(row).put("id", -1L).put("precise", new BigDecimal("0.00")).put("day", Fixtures.date(0)).put("time", Fixtures.date(0));
        Schema optionalRow = SchemaBuilder.struct().optional().field("a", Schema.INT32_SCHEMA).build();
        Schema twice = SchemaBuilder.struct().field("one", row).field("two", optionalRow).field("three", optionalRow).field("four", SchemaBuilder.array(row).build()).build();
        Struct nested = new Struct(twice).put("one", full).put("two", new Struct(optionalRow).put("a", 7)).put("four", List.of(full, few));
        Schema numbers = SchemaBuilder.map(Schema.INT32_SCHEMA, Schema.OPTIONAL_STRING_SCHEMA).build();
        Schema optionalKeys = SchemaBuilder.map(Schema.OPTIONAL_STRING_SCHEMA, Schema.INT32_SCHEMA).name("dev.example.Counts").build();
        Map<Integer, String> byNumber = new LinkedHashMap<>();
        byNumber.put(5, "five");
        byNumber.put(1, null);
        Schema color = SchemaBuilder.string().name("dev.example.Color").parameter("io.confluent.connect.avro.Enum", "dev.example.Color")
            .parameter("io.confluent.connect.avro.Enum.RED", "RED").parameter("io.confluent.connect.avro.Enum.GREEN", "GREEN").build();
        Schema fixed = SchemaBuilder.bytes().name("dev.example.Four").parameter("connect.fixed.size", "4").build();
        Schema union = SchemaBuilder.struct().name("io.confluent.connect.avro.Union").optional().field("int", Schema.OPTIONAL_INT32_SCHEMA)
            .field("string", Schema.OPTIONAL_STRING_SCHEMA).build();
        Schema enums = SchemaBuilder.struct().name("dev.example.Enums").field("color", color).field("four", fixed).field("either", union).build();
        Schema defaults = SchemaBuilder.struct().field("i", SchemaBuilder.int32().defaultValue(7).build()).field("s", SchemaBuilder.string().optional().defaultValue("x").build())
            .field("b", SchemaBuilder.bytes().defaultValue(ByteBuffer.wrap(new byte[] {1, (byte) 0xff})).build()).field("d", Decimal.builder(1).defaultValue(new BigDecimal("1.5")).build())
            .field("f", SchemaBuilder.float32().defaultValue(1.1f).build()).field("l", SchemaBuilder.array(Schema.STRING_SCHEMA).defaultValue(List.of("a")).build())
            .field("m", SchemaBuilder.map(Schema.STRING_SCHEMA, Schema.INT32_SCHEMA).defaultValue(Map.of("k", 1)).build())
            .field("t", Timestamp.builder().defaultValue(Fixtures.date(5)).build()).build();
        List<Object> anything = new ArrayList<>(List.of(1, "x", true, 2L, 1.5, 2.5f, (byte) 1, (short) 2, List.of("in"), new HashMap<>(Map.of("k", 1))));
        anything.add(null);
        return new Object[][] {
            {row, full}, {row, few}, {twice, nested}, {numbers, byNumber}, {optionalKeys, Map.of("a", 1)}, {optionalRow, null}, {null, null},
            {null, 1}, {null, "text"}, {null, anything}, {null, new BigDecimal("1.5")}, {null, new HashMap<>(Map.of("a", List.of(1L), "b", "c"))},
            {color, "GREEN"}, {fixed, new byte[] {1, 2, 3, 4}}, {enums, new Struct(enums).put("color", "RED").put("four", new byte[] {4, 3, 2, 1}).put("either", new Struct(union).put("string", "s"))},
            {enums, new Struct(enums).put("color", "RED").put("four", new byte[] {4, 3, 2, 1})}, {defaults, new Struct(defaults)},
            {Schema.INT32_SCHEMA, null}, {Schema.STRING_SCHEMA, "s"}, {Schema.OPTIONAL_INT64_SCHEMA, 3L}, {Schema.FLOAT32_SCHEMA, Float.NaN},
            {Decimal.schema(2), new BigDecimal("1.5")}, {Time.SCHEMA, Fixtures.date(86_400_001)}, {Decimal.schema(-2), new BigDecimal("1E+2")},
            {SchemaBuilder.struct().field("n", Schema.INT32_SCHEMA).build(), null}, {SchemaBuilder.array(Schema.OPTIONAL_INT32_SCHEMA).build(), java.util.Arrays.asList(1, null)}
        };
    }

    private static final String[] SCHEMAS = {
        "\"int\"", "\"long\"", "\"float\"", "\"double\"", "\"boolean\"", "\"string\"", "[\"null\",\"int\"]", "[\"int\",\"string\",\"null\"]", "[\"string\"]", "\"null\"",
        "{\"type\":\"int\",\"logicalType\":\"date\"}", "{\"type\":\"int\",\"logicalType\":\"time-millis\"}", "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}",
        "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}", "{\"type\":\"long\",\"logicalType\":\"time-micros\"}", "{\"type\":\"string\",\"logicalType\":\"uuid\"}",
        "{\"type\":\"fixed\",\"name\":\"F\",\"namespace\":\"n\",\"size\":3}", "{\"type\":\"fixed\",\"name\":\"D\",\"size\":8,\"logicalType\":\"decimal\",\"precision\":12,\"scale\":3}",
        "{\"type\":\"enum\",\"name\":\"Suit\",\"namespace\":\"n\",\"doc\":\"Suits.\",\"symbols\":[\"CLUBS\",\"HEARTS\"],\"default\":\"CLUBS\"}",
        "{\"type\":\"int\",\"connect.type\":\"int8\"}", "{\"type\":\"int\",\"connect.type\":\"int16\",\"connect.version\":4}", "{\"type\":\"int\",\"connect.type\":\"int9\"}",
        "{\"type\":\"string\",\"connect.name\":\"dev.example.Name\",\"connect.doc\":\"doc\",\"connect.parameters\":{\"a\":\"b\"},\"connect.version\":2,\"connect.default\":\"d\"}",
        "{\"type\":\"string\",\"avro.java.string\":\"String\"}", "{\"type\":\"string\",\"connect.name\":7}", "{\"type\":\"string\",\"connect.version\":\"x\"}", "{\"type\":\"string\",\"connect.parameters\":{\"a\":1}}",
        "{\"type\":\"array\",\"items\":\"long\"}", "{\"type\":\"array\",\"items\":[\"null\",\"string\"]}", "{\"type\":\"map\",\"values\":\"int\"}", "{\"type\":\"map\",\"values\":[\"null\",\"double\"]}",
        "{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"MapEntry\",\"namespace\":\"io.confluent.connect.avro\",\"fields\":[{\"name\":\"key\",\"type\":\"int\"},{\"name\":\"value\",\"type\":\"string\"}]}}",
        "{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"E\",\"connect.internal.type\":\"MapEntry\",\"fields\":[{\"name\":\"value\",\"type\":\"string\"},{\"name\":\"key\",\"type\":\"long\"}]}}",
        "{\"type\":\"record\",\"name\":\"Empty\",\"fields\":[]}",
        "{\"type\":\"record\",\"name\":\"R\",\"namespace\":\"n.m\",\"doc\":\"A record.\",\"fields\":[{\"name\":\"i\",\"type\":\"int\",\"default\":3,\"doc\":\"An int.\"},{\"name\":\"o\",\"type\":[\"null\",\"string\"],\"default\":null},"
            + "{\"name\":\"p\",\"type\":[\"string\",\"null\"],\"default\":\"x\"},{\"name\":\"u\",\"type\":[\"null\",\"int\",\"string\",{\"type\":\"record\",\"name\":\"In\",\"fields\":[{\"name\":\"b\",\"type\":\"boolean\"}]}]},"
            + "{\"name\":\"again\",\"type\":\"In\"},{\"name\":\"l\",\"type\":{\"type\":\"array\",\"items\":\"In\"},\"default\":[]},{\"name\":\"m\",\"type\":{\"type\":\"map\",\"values\":\"In\"}},"
            + "{\"name\":\"f\",\"type\":{\"type\":\"fixed\",\"name\":\"Two\",\"size\":2},\"default\":\"\\u0001\\u00ff\"},{\"name\":\"by\",\"type\":\"bytes\",\"default\":\"\\u00fe\"},"
            + "{\"name\":\"dec\",\"type\":{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":9,\"scale\":2}},{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]},\"default\":\"B\"}]}",
        "{\"type\":\"record\",\"name\":\"ConnectDefault\",\"namespace\":\"io.confluent.connect.avro\",\"fields\":[{\"name\":\"d\",\"type\":{\"type\":\"double\",\"connect.default\":1.5}},{\"name\":\"g\",\"type\":{\"type\":\"long\",\"connect.doc\":\"g\"},\"default\":9}]}",
        "[\"null\",{\"type\":\"record\",\"name\":\"A\",\"namespace\":\"x\",\"fields\":[]},{\"type\":\"record\",\"name\":\"A\",\"namespace\":\"y\",\"fields\":[]}]",
        "[{\"type\":\"enum\",\"name\":\"E1\",\"namespace\":\"x\",\"symbols\":[\"A\"]},\"string\",{\"type\":\"fixed\",\"name\":\"F2\",\"namespace\":\"x\",\"size\":2},\"long\",{\"type\":\"array\",\"items\":\"int\"}]",
        AvroData.ANYTHING_SCHEMA.toString()
    };

    /** Names are such that Avro allows them. */
    static Schema schema(Random random, int depth) {
        SchemaBuilder builder = builder(random, depth);
        if (random.chance(40)) builder.optional();
        if (builder.name() == null && builder.type() != Schema.Type.STRUCT && builder.type() != Schema.Type.MAP && random.chance(10)) builder.name("dev.example.Type" + random.below(3));
        if (builder.version() == null && random.chance(10)) builder.version(random.below(5));
        if (random.chance(10)) builder.doc(random.word());
        if (random.chance(10)) builder.parameter("p" + random.word(), random.word());
        if (builder.type() != Schema.Type.STRUCT && builder.type() != Schema.Type.MAP && random.chance(15)) builder.defaultValue(random.value(builder.build(), false));
        return builder.build();
    }

    private static int names;

    private static SchemaBuilder builder(Random random, int depth) {
        if (depth > 0 && random.chance(45)) {
            switch (random.below(4)) {
                case 0: return SchemaBuilder.array(schema(random, depth - 1));
                case 1: return SchemaBuilder.map(random.chance(60) ? Schema.STRING_SCHEMA : Schema.INT64_SCHEMA, schema(random, depth - 1)).name("dev.example.Map" + names++);
                default:
                    SchemaBuilder builder = SchemaBuilder.struct();
                    if (random.chance(50)) builder.name((random.chance(50) ? "dev.example.Row" : "Row") + names++);
                    int fields = random.below(6);
                    for (int i = 0; i < fields; i++) builder.field("f" + i, schema(random, depth - 1));
                    return builder;
            }
        }
        switch (random.below(13)) {
            case 0: return SchemaBuilder.int8();
            case 1: return SchemaBuilder.int16();
            case 2: return SchemaBuilder.int32();
            case 3: return SchemaBuilder.int64();
            case 4: return SchemaBuilder.float32();
            case 5: return SchemaBuilder.float64();
            case 6: return SchemaBuilder.bool();
            case 7: return SchemaBuilder.string();
            case 8: return SchemaBuilder.bytes();
            case 9: return Decimal.builder(random.below(8) - 2);
            case 10: return Date.builder();
            case 11: return Time.builder();
            default: return Timestamp.builder();
        }
    }

    static Object value(Random random, Schema schema) {
        return random.value(schema, true);
    }

    /** A datum of any Avro schema. */
    private static Object datum(Random random, org.apache.avro.Schema schema) {
        switch (schema.getType()) {
            case INT:
                if (schema.getLogicalType() != null) return random.below(80_000_000);
                return random.below(2_000_000) - 1_000_000;
            case LONG: return (long) random.below(2_000_000_000) * (random.chance(50) ? -1000L : 1);
            case FLOAT: return random.below(1000) / 8f;
            case DOUBLE: return random.number();
            case BOOLEAN: return random.chance(50);
            case STRING: return random.word();
            case BYTES: return ByteBuffer.wrap(new byte[] {(byte) random.below(256), (byte) random.below(256)});
            case FIXED: {
                byte[] bytes = new byte[schema.getFixedSize()];
                for (int i = 0; i < bytes.length; i++) bytes[i] = (byte) random.below(256);
                return new GenericData.Fixed(schema, bytes);
            }
            case ENUM: return new GenericData.EnumSymbol(schema, schema.getEnumSymbols().get(random.below(schema.getEnumSymbols().size())));
            case ARRAY: {
                List<Object> items = new ArrayList<>();
                for (int i = random.below(4); i > 0; i--) items.add(datum(random, schema.getElementType()));
                return items;
            }
            case MAP: {
                Map<String, Object> items = new LinkedHashMap<>();
                for (int i = random.below(20); i > 0; i--) items.put("k" + random.below(1000), datum(random, schema.getValueType()));
                return items;
            }
            case UNION: return datum(random, schema.getTypes().get(random.below(schema.getTypes().size())));
            case RECORD: {
                GenericData.Record record = new GenericData.Record(schema);
                boolean anything = schema.getFullName().equals(AvroData.ANYTHING_SCHEMA.getFullName());
                int only = random.below(10);
                for (org.apache.avro.Schema.Field field : schema.getFields()) {
                    if (anything) record.put(field.pos(), field.pos() == only ? datum(random, field.schema().getTypes().get(1)) : null);
                    else record.put(field.pos(), datum(random, field.schema()));
                }
                return record;
            }
            default: return null;
        }
    }
}

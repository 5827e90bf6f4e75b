import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.connect.data.Date;
import org.apache.kafka.connect.data.Decimal;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.data.Time;
import org.apache.kafka.connect.data.Timestamp;

/** Schemas and values of every kind, the same for the same seed. */
final class Random {
    private static final String[] WORDS = {
        "id", "name", "ümlaut", "日本", "a b", "quote\"d", "back\\slash", "tab\t", "nul\u0000", "esc\u001b", "del\u007f", "😀",
        "", "/slash", "line\nend", "\u2028", "price", "createdAt", "is_active", "x".repeat(40)
    };
    private final java.util.Random random;

    Random(long seed) {
        random = new java.util.Random(Fixtures.seed + seed);
    }

    int below(int bound) {
        return random.nextInt(bound);
    }

    boolean chance(int percent) {
        return random.nextInt(100) < percent;
    }

    String word() {
        return WORDS[below(WORDS.length)];
    }

    /** The text with a few bytes changed, left out or doubled, so that it is nearly right. */
    byte[] damaged(byte[] bytes) {
        if (bytes == null || bytes.length == 0) return bytes;
        java.io.ByteArrayOutputStream out = new java.io.ByteArrayOutputStream();
        int at = below(bytes.length);
        String likely = "{}[]\",:\\0eE.-+ntfu \n";
        for (int i = 0; i < bytes.length; i++) {
            if (i != at || chance(30)) out.write(bytes[i]);
            if (i == at && chance(60)) out.write(likely.charAt(below(likely.length())));
        }
        return out.toByteArray();
    }

    String name(int index) {
        String word = word();
        return (word.isEmpty() ? "f" : word) + index;
    }

    Schema schema(int depth) {
        SchemaBuilder builder = builder(depth);
        if (chance(40)) builder.optional();
        if (builder.name() == null) {
            if (chance(15)) builder.name("dev.example." + (builder.type() == Schema.Type.STRUCT ? "Row" : "Type"));
            if (chance(10)) builder.version(below(5));
        }
        if (chance(10)) builder.doc(word());
        if (chance(10)) builder.parameter("p" + word(), word());
        if (builder.type() != Schema.Type.STRUCT && chance(15)) builder.defaultValue(value(builder.build(), false));
        return builder.build();
    }

    private SchemaBuilder builder(int depth) {
        switch (below(depth > 0 ? 17 : 13)) {
            case 0: return SchemaBuilder.int8();
            case 1: return SchemaBuilder.int16();
            case 2: return SchemaBuilder.int32();
            case 3: return SchemaBuilder.int64();
            case 4: return SchemaBuilder.float32();
            case 5: return SchemaBuilder.float64();
            case 6: return SchemaBuilder.bool();
            case 7: return SchemaBuilder.string();
            case 8: return SchemaBuilder.bytes();
            case 9: return Decimal.builder(below(8) - 2);
            case 10: return Date.builder();
            case 11: return Time.builder();
            case 12: return Timestamp.builder();
            case 13: return SchemaBuilder.array(schema(depth - 1));
            case 14: return SchemaBuilder.map(chance(70) ? Schema.STRING_SCHEMA : Schema.INT32_SCHEMA, schema(depth - 1));
            default:
                SchemaBuilder builder = SchemaBuilder.struct();
                int fields = below(6);
                for (int i = 0; i < fields; i++) builder.field(name(i), schema(depth - 1));
                return builder;
        }
    }

    /** Doubles with few digits: Java before 19 prints others with a digit more than is needed. */
    double number() {
        return (random.nextInt(2_000_000) - 1_000_000) / new double[] {1, 10, 1000, 1e6, 1e-5, 1e12}[below(6)];
    }

    Object value(Schema schema, boolean nulls) {
        if (nulls && schema.isOptional() && chance(30)) return null;
        if (schema.name() != null) {
            switch (schema.name()) {
                case Decimal.LOGICAL_NAME: return decimal(Integer.parseInt(schema.parameters().get("scale")));
                case Date.LOGICAL_NAME: return new java.util.Date((below(40_000) - 10_000) * 86_400_000L);
                case Time.LOGICAL_NAME: return new java.util.Date(below(86_400_000));
                case Timestamp.LOGICAL_NAME: return new java.util.Date(random.nextInt() * 1000L + below(1000));
                default: break;
            }
        }
        switch (schema.type()) {
            case INT8: return (byte) random.nextInt();
            case INT16: return (short) random.nextInt();
            case INT32: return random.nextInt();
            case INT64: return random.nextLong();
            case FLOAT32: return (float) (below(100_000) - 50_000) / 100f;
            case FLOAT64: return number();
            case BOOLEAN: return random.nextBoolean();
            case STRING: return word() + (chance(20) ? word() : "");
            case BYTES: {
                byte[] bytes = new byte[below(9)];
                random.nextBytes(bytes);
                return bytes;
            }
            case ARRAY: {
                List<Object> list = new ArrayList<>();
                int size = below(4);
                for (int i = 0; i < size; i++) list.add(value(schema.valueSchema(), nulls));
                return list;
            }
            case MAP: {
                Map<Object, Object> map = new HashMap<>();
                int size = below(15);
                for (int i = 0; i < size; i++) map.put(value(schema.keySchema(), false), value(schema.valueSchema(), nulls));
                return map;
            }
            default: {
                Struct struct = new Struct(schema.schema());
                for (Field field : schema.fields()) struct.put(field, value(field.schema(), nulls));
                return struct;
            }
        }
    }

    BigDecimal decimal(int scale) {
        return new BigDecimal(new BigInteger(1 + below(150), random).multiply(BigInteger.valueOf(chance(50) ? 1 : -1)), scale);
    }

    /** A value without a schema, as a JSON document would give it. */
    Object schemaless(int depth) {
        switch (below(depth > 0 ? 9 : 7)) {
            case 0: return null;
            case 1: return random.nextBoolean();
            case 2: return random.nextLong();
            case 3: return number();
            case 4: return random.nextInt();
            case 5: return chance(50) ? (Object) (byte) below(100) : (Object) (float) (below(1000) / 8f);
            case 6: return word();
            case 7: {
                List<Object> list = new ArrayList<>();
                int size = below(4);
                for (int i = 0; i < size; i++) list.add(schemaless(depth - 1));
                return list;
            }
            default: {
                Map<Object, Object> map = new HashMap<>();
                int size = below(20);
                for (int i = 0; i < size; i++) map.put(chance(95) ? name(i) : (Object) i, schemaless(depth - 1));
                return map;
            }
        }
    }
}

/** Fields of every scalar type that Milvus 2.3.5 has, of arrays, and a vector. */
export const EVERY_TYPE = [
  { name: "id", type: "Int64", primary: true },
  { name: "flag", type: "Bool" },
  { name: "i8", type: "Int8" },
  { name: "i16", type: "Int16" },
  { name: "i32", type: "Int32" },
  { name: "i64", type: "Int64" },
  { name: "f32", type: "Float" },
  { name: "f64", type: "Double" },
  { name: "text", type: "VarChar", max_length: 200 },
  { name: "doc", type: "JSON" },
  { name: "list", type: "Array", element_type: "Int64", max_capacity: 5 },
  { name: "names", type: "Array", element_type: "VarChar", max_capacity: 5, max_length: 50 },
  { name: "vec", type: "FloatVector", dim: 4 },
];

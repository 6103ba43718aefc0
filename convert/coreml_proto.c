// SPDX-License-Identifier: Apache-2.0
// Core ML's messages (proto.h): models and their descriptions, models of tables, ML programs. Those of neural networks
// are in coreml_layer_proto.c.
#include "convert/coreml.h"

// ---- values -----------------------------------------------------------------------------------------

PROTO_TYPE(static, texts, "StringVector", PROTO(1, BYTES_LIST, "vector"))
PROTO_TYPE(static, integers, "Int64Vector", PROTO(1, INTS, "vector"))
PROTO_TYPE(static, doubles, "DoubleVector", PROTO(1, DOUBLES, "vector"))
PROTO_TYPE(static, text_to_integer, "MapEntry", PROTO(1, BYTES, "key"), PROTO(2, INT, "value"))
PROTO_TYPE(static, integer_to_text, "MapEntry", PROTO(1, INT, "key"), PROTO(2, BYTES, "value"))
PROTO_TYPE(static, text_to_integer_map, "StringToInt64Map", PROTO_MESSAGES(1, "map", text_to_integer))
PROTO_TYPE(static, integer_to_text_map, "Int64ToStringMap", PROTO_MESSAGES(1, "map", integer_to_text))

// ---- descriptions -----------------------------------------------------------------------------------

static const wire_schema nothing = {"FeatureType", 0, 0, NULL, NULL};

PROTO_TYPE(static, range, "SizeRange", PROTO(1, INT, "lowerBound"), PROTO(2, INT, "upperBound"))
PROTO_TYPE(static, image_range, "ImageSizeRange", PROTO_MESSAGE(1, "widthRange", range),
           PROTO_MESSAGE(2, "heightRange", range))
PROTO_TYPE(static, image_size, "ImageSize", PROTO(1, INT, "width"), PROTO(2, INT, "height"))
PROTO_TYPE(static, image_sizes, "EnumeratedImageSizes", PROTO_MESSAGES(1, "sizes", image_size))
PROTO_TYPE(static, image, "ImageFeatureType", PROTO(1, INT, "width"), PROTO(2, INT, "height"),
           PROTO(3, INT, "colorSpace"), PROTO_MESSAGE(21, "enumeratedSizes", image_sizes),
           PROTO_MESSAGE(31, "imageSizeRange", image_range))
PROTO_TYPE(static, shape, "Shape", PROTO(1, INTS, "shape"))
PROTO_TYPE(static, shapes, "EnumeratedShapes", PROTO_MESSAGES(1, "shapes", shape))
PROTO_TYPE(static, shape_range, "ShapeRange", PROTO_MESSAGES(1, "sizeRanges", range))
PROTO_TYPE(static, array, "ArrayFeatureType", PROTO(1, INTS, "shape"), PROTO(2, INT, "dataType"),
           PROTO_MESSAGE(21, "enumeratedShapes", shapes), PROTO_MESSAGE(31, "shapeRange", shape_range))
PROTO_TYPE(static, dictionary, "DictionaryFeatureType", PROTO_MESSAGE(1, "int64KeyType", nothing))
PROTO_TYPE(static, feature_type, "FeatureType", PROTO_MESSAGE(1, "int64Type", nothing),
           PROTO_MESSAGE(2, "doubleType", nothing), PROTO_MESSAGE(3, "stringType", nothing),
           PROTO_MESSAGE(4, "imageType", image), PROTO_MESSAGE(5, "multiArrayType", array),
           PROTO_MESSAGE(6, "dictionaryType", dictionary), PROTO_MESSAGE(7, "sequenceType", nothing),
           PROTO_MESSAGE(8, "stateType", nothing))
PROTO_TYPE(static, feature, "FeatureDescription", PROTO(1, BYTES, "name"), PROTO(2, BYTES, "shortDescription"),
           PROTO_MESSAGE(3, "type", feature_type))
PROTO_TYPE(static, metadata, "Metadata", PROTO(1, BYTES, "shortDescription"), PROTO(2, BYTES, "versionString"),
           PROTO(3, BYTES, "author"), PROTO(4, BYTES, "license"))
PROTO_TYPE(, coreml_description_type, "ModelDescription", PROTO_MESSAGES(1, "input", feature),
           PROTO_MESSAGES(10, "output", feature), PROTO(11, BYTES, "predictedFeatureName"),
           PROTO(12, BYTES, "predictedProbabilitiesName"), PROTO_MESSAGE(100, "metadata", metadata))

// ---- neural networks --------------------------------------------------------------------------------

PROTO_TYPE(static, image_scaler, "NeuralNetworkImageScaler", PROTO(10, FLOAT, "channelScale"),
           PROTO(20, FLOAT, "blueBias"), PROTO(21, FLOAT, "greenBias"), PROTO(22, FLOAT, "redBias"),
           PROTO(30, FLOAT, "grayBias"))
PROTO_TYPE(static, mean_image, "NeuralNetworkMeanImage", PROTO(1, FLOATS, "meanImage"))
PROTO_TYPE(static, preprocessing, "NeuralNetworkPreprocessing", PROTO(1, BYTES, "featureName"),
           PROTO_MESSAGE(10, "scaler", image_scaler), PROTO_MESSAGE(11, "meanImage", mean_image))
// Of NeuralNetworkClassifier and NeuralNetworkRegressor, too.
PROTO_TYPE(, coreml_network_type, "NeuralNetwork", PROTO_MESSAGES(1, "layers", coreml_layer_type),
           PROTO_MESSAGES(2, "preprocessing", preprocessing), PROTO(5, INT, "arrayInputShapeMapping"),
           PROTO_MESSAGE(100, "stringClassLabels", texts), PROTO_MESSAGE(101, "int64ClassLabels", integers),
           PROTO(200, BYTES, "labelProbabilityLayerName"))

// ---- models of tables -------------------------------------------------------------------------------

PROTO_TYPE(static, evaluation, "EvaluationInfo", PROTO(1, INT, "evaluationIndex"), PROTO(2, DOUBLE, "evaluationValue"))
PROTO_TYPE(static, tree_node_type, "TreeNode", PROTO(1, INT, "treeId"), PROTO(2, INT, "nodeId"),
           PROTO(3, INT, "nodeBehavior"), PROTO(10, INT, "branchFeatureIndex"), PROTO(11, DOUBLE, "branchFeatureValue"),
           PROTO(12, INT, "trueChildNodeId"), PROTO(13, INT, "falseChildNodeId"),
           PROTO(14, INT, "missingValueTracksTrueChild"), PROTO_MESSAGES(20, "evaluationInfo", evaluation))
PROTO_TYPE(static, trees, "TreeEnsembleParameters", PROTO_MESSAGES(1, "nodes", tree_node_type),
           PROTO(2, INT, "numPredictionDimensions"), PROTO(3, DOUBLES, "basePredictionValue"))
PROTO_TYPE(static, tree_model, "TreeEnsemble", PROTO_MESSAGE(1, "treeEnsemble", trees),
           PROTO(2, INT, "postEvaluationTransform"), PROTO_MESSAGE(100, "stringClassLabels", texts),
           PROTO_MESSAGE(101, "int64ClassLabels", integers))
PROTO_TYPE(static, double_array, "DoubleArray", PROTO(1, DOUBLES, "value"))
PROTO_TYPE(static, linear_model, "GLM", PROTO_MESSAGES(1, "weights", double_array), PROTO(2, DOUBLES, "offset"),
           PROTO(3, INT, "postEvaluationTransform"), PROTO(4, INT, "classEncoding"),
           PROTO_MESSAGE(100, "stringClassLabels", texts), PROTO_MESSAGE(101, "int64ClassLabels", integers))
PROTO_TYPE(static, rbf_kernel, "Kernel", PROTO(1, DOUBLE, "gamma"))
PROTO_TYPE(static, polynomial_kernel, "PolyKernel", PROTO(1, INT, "degree"), PROTO(2, DOUBLE, "c"),
           PROTO(3, DOUBLE, "gamma"))
PROTO_TYPE(static, sigmoid_kernel, "SigmoidKernel", PROTO(1, DOUBLE, "gamma"), PROTO(2, DOUBLE, "c"))
PROTO_TYPE(static, kernel, "Kernel", PROTO_MESSAGE(1, "linearKernel", nothing),
           PROTO_MESSAGE(2, "rbfKernel", rbf_kernel), PROTO_MESSAGE(3, "polyKernel", polynomial_kernel),
           PROTO_MESSAGE(4, "sigmoidKernel", sigmoid_kernel))
PROTO_TYPE(static, sparse_node, "SparseNode", PROTO(1, INT, "index"), PROTO(2, DOUBLE, "value"))
PROTO_TYPE(static, sparse_vector, "SparseVector", PROTO_MESSAGES(1, "nodes", sparse_node))
PROTO_TYPE(static, sparse_vectors, "SparseSupportVectors", PROTO_MESSAGES(1, "vectors", sparse_vector))
PROTO_TYPE(static, dense_vector, "DenseVector", PROTO(1, DOUBLES, "values"))
PROTO_TYPE(static, dense_vectors, "DenseSupportVectors", PROTO_MESSAGES(1, "vectors", dense_vector))
PROTO_TYPE(static, coefficients, "Coefficients", PROTO(1, DOUBLES, "alpha"))
PROTO_TYPE(static, svm_regressor, "SupportVectorRegressor", PROTO_MESSAGE(1, "kernel", kernel),
           PROTO_MESSAGE(2, "sparseSupportVectors", sparse_vectors),
           PROTO_MESSAGE(3, "denseSupportVectors", dense_vectors), PROTO_MESSAGES(4, "coefficients", coefficients),
           PROTO(5, DOUBLES, "rho"))
PROTO_TYPE(static, svm_classifier, "SupportVectorClassifier", PROTO_MESSAGE(1, "kernel", kernel),
           PROTO(2, INTS, "numberOfSupportVectorsPerClass"), PROTO_MESSAGE(3, "sparseSupportVectors", sparse_vectors),
           PROTO_MESSAGE(4, "denseSupportVectors", dense_vectors), PROTO_MESSAGES(5, "coefficients", coefficients),
           PROTO(6, DOUBLES, "rho"), PROTO(7, DOUBLES, "probA"), PROTO(8, DOUBLES, "probB"),
           PROTO_MESSAGE(100, "stringClassLabels", texts), PROTO_MESSAGE(101, "int64ClassLabels", integers))
PROTO_TYPE(static, scaler, "Scaler", PROTO(1, DOUBLES, "shiftValue"), PROTO(2, DOUBLES, "scaleValue"))
PROTO_TYPE(static, imputer, "Imputer", PROTO(1, DOUBLE, "imputedDoubleValue"), PROTO(2, INT, "imputedInt64Value"),
           PROTO(3, BYTES, "imputedStringValue"), PROTO_MESSAGE(4, "imputedDoubleArray", doubles),
           PROTO_MESSAGE(5, "imputedInt64Array", integers), PROTO_MESSAGE(6, "imputedStringDictionary", nothing),
           PROTO_MESSAGE(7, "imputedInt64Dictionary", nothing), PROTO(11, DOUBLE, "replaceDoubleValue"),
           PROTO(12, INT, "replaceInt64Value"))
PROTO_TYPE(static, one_hot, "OneHotEncoder", PROTO_MESSAGE(1, "stringCategories", texts),
           PROTO_MESSAGE(2, "int64Categories", integers), PROTO(11, INT, "handleUnknown"))
PROTO_TYPE(static, dict_vectorizer, "DictVectorizer", PROTO_MESSAGE(1, "stringToIndex", texts),
           PROTO_MESSAGE(2, "int64ToIndex", integers))
PROTO_TYPE(static, input_column, "InputColumn", PROTO(1, BYTES, "inputColumn"))
PROTO_TYPE(static, vectorizer, "FeatureVectorizer", PROTO_MESSAGES(1, "inputList", input_column))
PROTO_TYPE(static, extractor, "ArrayFeatureExtractor", PROTO(1, INTS, "extractIndex"))
PROTO_TYPE(static, normalizer, "Normalizer", PROTO(1, INT, "normType"))
PROTO_TYPE(static, mapping, "CategoricalMapping", PROTO_MESSAGE(1, "stringToInt64Map", text_to_integer_map),
           PROTO_MESSAGE(2, "int64ToStringMap", integer_to_text_map), PROTO(101, BYTES, "strValue"),
           PROTO(102, INT, "int64Value"))

// ---- ML programs ------------------------------------------------------------------------------------

PROTO_TYPE(static, constant_dimension, "ConstantDimension", PROTO(1, INT, "size"))
PROTO_TYPE(static, dimension, "Dimension", PROTO_MESSAGE(1, "constant", constant_dimension))
PROTO_TYPE(static, tensor_type, "TensorType", PROTO(1, INT, "dataType"), PROTO_MESSAGES(3, "dimensions", dimension))
PROTO_TYPE(static, value_type, "ValueType", PROTO_MESSAGE(1, "tensorType", tensor_type))
PROTO_TYPE(static, named_type, "NamedValueType", PROTO(1, BYTES, "name"), PROTO_MESSAGE(2, "type", value_type))
PROTO_TYPE(static, some_floats, "RepeatedFloats", PROTO(1, FLOATS, "values"))
PROTO_TYPE(static, some_ints, "RepeatedInts", PROTO(1, INTS, "values"))
PROTO_TYPE(static, some_texts, "RepeatedStrings", PROTO(1, BYTES_LIST, "values"))
PROTO_TYPE(static, some_doubles, "RepeatedDoubles", PROTO(1, DOUBLES, "values"))
PROTO_TYPE(static, some_bytes, "RepeatedBytes", PROTO(1, BYTES, "values"))
PROTO_TYPE(static, tensor_value, "TensorValue", PROTO_MESSAGE(1, "floats", some_floats),
           PROTO_MESSAGE(2, "ints", some_ints), PROTO_MESSAGE(3, "bools", some_ints),
           PROTO_MESSAGE(4, "strings", some_texts), PROTO_MESSAGE(5, "longInts", some_ints),
           PROTO_MESSAGE(6, "doubles", some_doubles), PROTO_MESSAGE(7, "bytes", some_bytes))
PROTO_TYPE(static, immediate, "ImmediateValue", PROTO_MESSAGE(1, "tensor", tensor_value))
PROTO_TYPE(static, blob_file, "BlobFileValue", PROTO(2, INT, "offset"))
PROTO_TYPE(static, value, "Value", PROTO_MESSAGE(2, "type", value_type), PROTO_MESSAGE(3, "immediateValue", immediate),
           PROTO_MESSAGE(5, "blobFileValue", blob_file))
PROTO_TYPE(static, binding, "Binding", PROTO(1, BYTES, "name"), PROTO_MESSAGE(2, "value", value))
PROTO_TYPE(static, argument, "Argument", PROTO_MESSAGES(1, "arguments", binding))
PROTO_TYPE(static, argument_entry, "InputsEntry", PROTO(1, BYTES, "key"), PROTO_MESSAGE(2, "value", argument))
PROTO_TYPE(static, attribute_entry, "AttributesEntry", PROTO(1, BYTES, "key"), PROTO_MESSAGE(2, "value", value))
PROTO_TYPE(static, operation, "Operation", PROTO(1, BYTES, "type"), PROTO_MESSAGES(2, "inputs", argument_entry),
           PROTO_MESSAGES(3, "outputs", named_type), PROTO_MESSAGES(5, "attributes", attribute_entry))
PROTO_TYPE(static, block, "Block", PROTO_MESSAGES(1, "inputs", named_type), PROTO(2, BYTES_LIST, "outputs"),
           PROTO_MESSAGES(3, "operations", operation))
PROTO_TYPE(static, block_entry, "BlockSpecializationsEntry", PROTO(1, BYTES, "key"), PROTO_MESSAGE(2, "value", block))
PROTO_TYPE(static, function, "Function", PROTO_MESSAGES(1, "inputs", named_type),
           PROTO_MESSAGES(3, "block_specializations", block_entry))
PROTO_TYPE(static, function_entry, "FunctionsEntry", PROTO(1, BYTES, "key"), PROTO_MESSAGE(2, "value", function))
PROTO_TYPE(static, program, "Program", PROTO(1, INT, "version"), PROTO_MESSAGES(2, "functions", function_entry))

// ---- models -----------------------------------------------------------------------------------------

PROTO_TYPE(static, pipeline, "Pipeline", PROTO_MESSAGES(1, "models", coreml_model_type))
PROTO_TYPE(static, pipeline_of, "PipelineClassifier", PROTO_MESSAGE(1, "pipeline", pipeline))
PROTO_TYPE(, coreml_model_type, "Model", PROTO(1, INT, "specificationVersion"),
           PROTO_MESSAGE(2, "description", coreml_description_type),
           PROTO_MESSAGE(200, "pipelineClassifier", pipeline_of), PROTO_MESSAGE(201, "pipelineRegressor", pipeline_of),
           PROTO_MESSAGE(202, "pipeline", pipeline), PROTO_MESSAGE(300, "glmRegressor", linear_model),
           PROTO_MESSAGE(301, "supportVectorRegressor", svm_regressor),
           PROTO_MESSAGE(302, "treeEnsembleRegressor", tree_model),
           PROTO_MESSAGE(303, "neuralNetworkRegressor", coreml_network_type),
           PROTO_MESSAGE(304, "bayesianProbitRegressor", nothing), PROTO_MESSAGE(400, "glmClassifier", linear_model),
           PROTO_MESSAGE(401, "supportVectorClassifier", svm_classifier),
           PROTO_MESSAGE(402, "treeEnsembleClassifier", tree_model),
           PROTO_MESSAGE(403, "neuralNetworkClassifier", coreml_network_type),
           PROTO_MESSAGE(404, "kNearestNeighborsClassifier", nothing),
           PROTO_MESSAGE(500, "neuralNetwork", coreml_network_type),
           PROTO_MESSAGE(501, "itemSimilarityRecommender", nothing), PROTO_MESSAGE(502, "mlProgram", program),
           PROTO_MESSAGE(555, "customModel", nothing), PROTO_MESSAGE(556, "linkedModel", nothing),
           PROTO_MESSAGE(560, "classConfidenceThresholding", nothing), PROTO_MESSAGE(600, "oneHotEncoder", one_hot),
           PROTO_MESSAGE(601, "imputer", imputer), PROTO_MESSAGE(602, "featureVectorizer", vectorizer),
           PROTO_MESSAGE(603, "dictVectorizer", dict_vectorizer), PROTO_MESSAGE(604, "scaler", scaler),
           PROTO_MESSAGE(606, "categoricalMapping", mapping), PROTO_MESSAGE(607, "normalizer", normalizer),
           PROTO_MESSAGE(609, "arrayFeatureExtractor", extractor), PROTO_MESSAGE(610, "nonMaximumSuppression", nothing),
           PROTO_MESSAGE(900, "identity", nothing), PROTO_MESSAGE(2000, "textClassifier", nothing),
           PROTO_MESSAGE(2001, "wordTagger", nothing), PROTO_MESSAGE(2002, "visionFeaturePrint", nothing),
           PROTO_MESSAGE(2003, "soundAnalysisPreprocessing", nothing), PROTO_MESSAGE(2004, "gazetteer", nothing),
           PROTO_MESSAGE(2005, "wordEmbedding", nothing), PROTO_MESSAGE(2006, "audioFeaturePrint", nothing),
           PROTO_MESSAGE(3000, "serializedModel", nothing))

"""TFRecord files of serialized tf.train.Example messages: encode and decode."""

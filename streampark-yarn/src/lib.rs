//! Apache Flink on Hadoop YARN through the REST interfaces of the ResourceManager and HDFS.

package parquetfile

import "encoding/binary"

// The page headers of Parquet in Thrift's compact protocol: a field is a byte
// with the distance from the field before and the type, then a zigzag varint.
const (
	thriftI32    = 5
	thriftStruct = 12

	pageData       = 0
	pageDictionary = 2
)

func appendField(dst []byte, distance, value int) []byte {
	dst = append(dst, byte(distance<<4|thriftI32))
	return binary.AppendVarint(dst, int64(value))
}

// appendPageHeader appends the header of a data page (version 1) or dictionary
// page with so many values.
func appendPageHeader(dst []byte, page, values, encoding, uncompressed, compressed int, crc uint32) []byte {
	dst = appendField(dst, 1, page)
	dst = appendField(dst, 1, uncompressed)
	dst = appendField(dst, 1, compressed)
	dst = appendField(dst, 1, int(int32(crc)))
	if page == pageDictionary {
		dst = append(dst, 3<<4|thriftStruct) // field 7
		dst = appendField(dst, 1, values)
		dst = appendField(dst, 1, encoding)
	} else {
		dst = append(dst, 1<<4|thriftStruct) // field 5
		dst = appendField(dst, 1, values)
		dst = appendField(dst, 1, encoding)
		dst = appendField(dst, 1, encodingRLE) // definition levels
		dst = appendField(dst, 1, encodingRLE) // repetition levels
	}
	return append(dst, 0, 0)
}

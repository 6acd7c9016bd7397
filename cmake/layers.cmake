# quern_layer(NAME [PUBLIC lib...] [PRIVATE lib...]): one static library of all .cc files below NAME/.
function(quern_layer name)
  cmake_parse_arguments(arg "" "" "PUBLIC;PRIVATE" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${name}/*.cc)
  add_library(quern_${name} STATIC ${sources})
  target_include_directories(quern_${name} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(quern_${name} PUBLIC ${arg_PUBLIC} PRIVATE ${arg_PRIVATE})
endfunction()
